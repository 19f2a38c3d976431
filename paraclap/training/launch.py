"""Launch a training run: processes, trackers, and messages for runs that end early."""

import gc
import sys
import traceback

from accelerate import Accelerator
from accelerate.utils import DistributedType
from safetensors import SafetensorError

from dataset_scripts.folders import FolderInUseError
from paraclap.quiet import quiet

from .arguments import Arguments
from .checkpoint import where_to_continue
from .errors import TrainingError
from .run import Run
from .stop import INTERRUPTED, TERMINATED, Stopped, explain_failure

SHARDED = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)


def launch(args: Arguments) -> None:
    """Train with the given arguments.

    Raises:
        SystemExit: If the run was stopped, or failed for a known reason, which the message explains.
    """
    tracker = args.run.report_to
    accelerator = Accelerator(
        mixed_precision=args.run.mixed_precision,
        log_with=None if tracker == "none" else tracker,
        project_dir=f"{args.paths.output_dir}/logs",
    )
    refuse_sharding(accelerator)
    end: str | int | None = None
    try:
        train(args, accelerator)
    except Stopped as stop:
        accelerator.print(f"{stop} {where_to_continue(args.paths.output_dir)}")
        end = stop.status
    except KeyboardInterrupt:  # before the first step, or a second Ctrl-C
        accelerator.print(f"Interrupted. {where_to_continue(args.paths.output_dir)}")
        end = INTERRUPTED
    except (TrainingError, FolderInUseError) as error:
        end = str(error)
    except (OSError, RuntimeError, EOFError, FloatingPointError, SafetensorError) as error:
        reason = explain_failure(error)
        if reason is None:
            raise
        end = f"{reason} {where_to_continue(args.paths.output_dir)}"
    finally:
        # The interpreter keeps the frames of an uncaught exception, and with them the loader. At exit it would send the
        # loader's workers a SIGTERM, which they leave to the trainer, and wait for them for ever. So nothing exits
        # within an `except` above: the exception would live on as the context of the exit.
        traceback.clear_frames(sys.exc_info()[2])
        # The model that averages gradients must be gone before its process group. Were it the group's last owner, it
        # would wait for the group's threads with the interpreter's lock held, and they for the lock.
        accelerator.free_memory()
        gc.collect()
    if end in (None, TERMINATED):
        accelerator.end_training()
    if end is not None:
        sys.exit(end)


def train(args: Arguments, accelerator: Accelerator) -> None:
    """Train from the first step, or from the newest checkpoint, to the last step."""
    with quiet(), Run(args, accelerator) as run:  # saving's progress bar would interrupt the run's own
        if args.paths.resume:
            run.resume()
        run.fit()


def refuse_sharding(accelerator: Accelerator) -> None:
    """Exit if the launch shards the weights, which checks, average and release need unsharded."""
    if accelerator.distributed_type in SHARDED:
        sys.exit(
            f"{accelerator.distributed_type.value} shards the weights over processes, which is not supported: a "
            "paper-size model and its optimizer take under 5 GB. Launch with DDP: "
            "accelerate launch --config_file configs/accelerate/several_gpus.yaml train_accelerate.py ..."
        )
