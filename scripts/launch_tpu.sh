#!/usr/bin/env bash
# A Cloud TPU, from its own host (of a slice: the first). TPU_NAME is the TPU's name.
# Arguments are handed to train.py:
#   TPU_NAME=local scripts/launch_tpu.sh --experiment=mnv3_cls_imagenet
source "$(dirname "$0")/environment.sh" ""
exec python train.py \
  --set "trainer.strategy = @TPU(address='${TPU_NAME:-local}')" \
  --set "trainer.precision = 'mixed_bfloat16'" "$@"
