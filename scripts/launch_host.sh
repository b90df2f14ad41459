#!/usr/bin/env bash
# One host, all of its GPUs. Arguments are handed to train.py:
#   scripts/launch_host.sh --experiment=mnv3_seg_cityscapes --run_dir=runs/cityscapes
source "$(dirname "$0")/environment.sh" ""
exec python train.py --set "trainer.strategy = @Mirrored()" "$@"
