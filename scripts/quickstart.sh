#!/usr/bin/env bash
# From a fresh machine to a verified integer-only .tflite: installs into .venv, trains
# the embedded default on procedural street scenes, exports, and checks the files.
# Arguments are handed to train.py, for example --overwrite.
source "$(dirname "$0")/environment.sh" ""  # none of the arguments
exec python train.py --experiment=mnv3_seg_synthetic "$@"
