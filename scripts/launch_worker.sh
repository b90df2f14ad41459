#!/usr/bin/env bash
# One of several hosts that train together, all of its GPUs; TF_CONFIG names them.
# Arguments are handed to train.py. `launch_hosts.sh` calls it; so can a scheduler.
source "$(dirname "$0")/environment.sh" ""
exec python train.py --set "trainer.strategy = @MultiWorker()" "$@"
