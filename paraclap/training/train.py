r"""Train ParaCLAP on a query corpus, on one process or several.

The paper's recipe (section 3.3):

    accelerate launch train_accelerate.py --corpus_dir CORPUS --output_dir RUN \
        --audio_model_name_or_path audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim \
        --text_model_name_or_path google-bert/bert-base-uncased

The default model's recipe, on frozen encoders (`make checkpoint` gives their folders):

    accelerate launch train_accelerate.py --config configs/paraclap-base.yaml --corpus_dir CORPUS --output_dir RUN

Where the package is installed, `accelerate launch -m paraclap.training ...` takes the same arguments.

RUN receives config.json (arguments, versions, git revision), logs/ (TensorBoard), history.csv (a row per epoch),
checkpoints/ and best/, the release folder of the epoch with the best validation UAR. --resume continues an interrupted
run. For the final training, --train_split train+validation uses both splits and keeps the last epoch.
"""

from collections.abc import Sequence

from dataset_scripts.extras import need, program_extra

from .arguments import parse_arguments


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Run the command line.

    Args:
        argv: Command-line arguments; `sys.argv[1:]` if not given.
        prog: Name of the program in messages.
    """
    args = parse_arguments(argv, prog)
    with program_extra("train"):
        from .launch import launch
    tracker = args.run.report_to
    with program_extra("train" if tracker == "tensorboard" else "trackers"):
        need(*{tracker} - {"none"})
    launch(args)
