#!/usr/bin/env bash
# One task of a Slurm job array is one run: a fold and a seed. Copy it, change
# the lines up to the rule, and from the repository's folder:
#
#     sbatch --array=0-19 slurm_array.sh      # 4 folds x 5 runs
#
# A task that is preempted or times out is started again and goes on from its
# last checkpoint; a finished one is not trained again.
#SBATCH --job-name=ser_brain
#SBATCH --cpus-per-task=4
#SBATCH --gpus-per-task=1
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%A_%a.log
set -euo pipefail

recipe=${RECIPE:-recipes/SAVEE/train_ptapt.py}
yaml=${YAML:-hparams/ptapt.yaml}
read -r -a folds <<<"${FOLDS:-DC JE JK KL}"
runs=${RUNS:-5}
# export SAVEE_ROOT=/path/to/SAVEE
# -----------------------------------------------------------------------------
task=${SLURM_ARRAY_TASK_ID:?start it with sbatch --array=0-N}
last=$((${#folds[@]} * runs - 1))
if ((task > last)); then
    echo "task $task: ${#folds[@]} folds x $runs runs are --array=0-$last" >&2
    exit 2
fi
# Seed 1 of all folds comes first, then seed 2: a mean over the folds early.
fold=${folds[task % ${#folds[@]}]}
seed=$((task / ${#folds[@]} + 1))

export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
# What follows the script's name on sbatch's command line goes to the recipe.
exec "${PYTHON:-.venv/bin/python}" "$recipe" "$yaml" \
    --fold "$fold" --seed "$seed" --noprogressbar "$@"
