"""A training run: set-up, training loop, checkpoints, validation and resuming."""

import json
import math
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, set_seed
from tqdm import tqdm
from transformers import get_scheduler

from dataset_scripts.folders import locked, restore_folder, written_whole
from modeling_paraclap.modeling_paraclap import ParaClapModel
from modeling_paraclap.release_paraclap import save_release

from .arguments import Arguments
from .audio_states import AudioStates
from .average import AveragedWeights
from .batches import ATTRIBUTE_GROUPS
from .build import build, lay_out, prepare_machine
from .checkpoint import Checkpoints, complete_checkpoints
from .config import CONFIG, describe_run, identify, read_config, record_resume, refuse_changes, write_config
from .corpus_check import check_corpus
from .corpus_files import copy_bins, load_split
from .curves import draw_curves
from .loader import build_loader, prepare_loader, rest_of_epoch
from .optimizer import build_optimizer
from .profile import profiled
from .progress import Progress
from .records import write_progress, write_row
from .state import RunState
from .state_corpus import states_folder
from .step import ContrastiveStep
from .stop import Stopped, StopRequest, check_finite
from .validation import Validation

MAX_LOGIT_SCALE = math.log(100)


class Run:
    """A training run in its own folder, which stays locked until the run is closed.

        with Run(args, accelerator) as run:
            run.resume()
            run.fit()

    Args:
        args: Arguments of the run.
        accelerator: Accelerator with precision, device, processes and trackers.

    Raises:
        SystemExit: If the folder holds another run, or the run is resumed with arguments that must not change.
        FolderInUseError: If another process uses the folder.
        TrainingError: If the model or the corpus cannot be used for training.
    """

    def __init__(self, args: Arguments, accelerator: Accelerator):
        self.args, self.accelerator = args, accelerator
        self.folder = Path(args.paths.output_dir)
        self.is_main = accelerator.is_main_process
        self.request = StopRequest(every=args.run.log_every)
        self.config = describe_run(args, accelerator)
        with ExitStack() as resources:
            if self.is_main:
                resources.enter_context(locked(self.folder, lock=self.folder / ".lock"))
                self._open_folder()
            accelerator.wait_for_everyone()
            self._start_trackers()
            set_seed(args.recipe.seed, device_specific=True)
            prepare_machine(args.run.tf32, accelerator.device)
            self._build()
            self._resources = resources.pop_all()
        self.state = RunState()
        samples = args.recipe.batch_size * accelerator.num_processes
        self.progress = Progress(accelerator, self.towers, self.folder, self.steps, samples)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the folder."""
        self._resources.close()

    def _open_folder(self) -> None:
        """Create the run's folder; refuse one that holds another run."""
        before, resume = read_config(self.folder), self.args.paths.resume
        if before and not resume:
            sys.exit(f"{self.folder} already holds a run: add --resume to continue it, or give another --output_dir.")
        if complete_checkpoints(self.folder / "checkpoints"):
            if before is None:
                sys.exit(
                    f"{self.folder} has checkpoints but no {CONFIG} to describe their run: give another --output_dir."
                )
            refuse_changes(self.folder, before, self.config)
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        restore_folder(self.folder / "best")

    def _start_trackers(self) -> None:
        """Start the experiment trackers."""
        name = "" if self.args.run.report_to == "tensorboard" else "paraclap"
        # W&B writes to the working directory by default, and elsewhere if the folder does not exist.
        self.accelerator.init_trackers(name, init_kwargs={"wandb": {"dir": str(self.folder / "logs")}})

    def _build(self) -> None:
        """Build model, data, optimizer and schedule."""
        args, accelerator, recipe = self.args, self.accelerator, self.args.recipe
        splits = args.paths.train_split.split("+")
        validates = "validation" not in splits  # training data cannot validate
        corpus = self._check_corpus([*splits, "validation"] if validates else splits)
        model, self.processor = build(args)
        self.config["identity"] = identify(corpus, model, self.processor)
        lay_out(model, accelerator)
        states = self._open_states(model)
        loader = build_loader(args, self.processor, accelerator.process_index, accelerator.num_processes, states)
        self.sampler = loader.sampler
        if states:
            model.to(accelerator.device)
            with accelerator.main_process_first():
                loader.dataset.fill(model, accelerator)
        self.validation = None
        if validates:
            rows = load_split(args.paths.corpus_dir, "validation")
            self.validation = Validation(rows, self.processor, args.model.hypothesis_template)
        self.model, self.optimizer = accelerator.prepare(model, build_optimizer(model, recipe))
        self.loader = prepare_loader(loader, accelerator)
        self.steps = min(recipe.num_train_epochs * len(self.loader), args.run.max_steps or math.inf)
        # Not prepared, so that one step of the loop is one step of the schedule on any number of processes.
        warmup = int(recipe.warmup_ratio * self.steps)
        self.scheduler = get_scheduler(recipe.lr_scheduler_type, self.optimizer, warmup, self.steps)
        weights = {ATTRIBUTE_GROUPS["emotion"]: recipe.emotion_weight}
        self.step = ContrastiveStep(
            accelerator, self.model, recipe.global_negatives, recipe.micro_batch_size, weights, recipe.text_noise
        )
        self.towers = self.step.towers
        self.average = AveragedWeights(self.towers, recipe.ema_decay)
        parts = {"optimizer": self.optimizer, "scheduler": self.scheduler}
        parts |= {"average": self.average} if recipe.ema_decay else {}
        parts |= {"scaler": accelerator.scaler} if accelerator.scaler else {}
        self.checkpoints = Checkpoints(
            self.folder / "checkpoints", accelerator, self.towers, parts, args.run.keep_checkpoints
        )

    def _check_corpus(self, splits: list[str]) -> str:
        """Return a hash of the corpus, after one process per machine has checked it."""
        corpus = None
        if self.accelerator.is_local_main_process:
            corpus = check_corpus(self.args.paths.corpus_dir, splits, progress=self.is_main)
        (corpus,) = broadcast_object_list([corpus])
        return corpus

    def _open_states(self, model: ParaClapModel) -> AudioStates | None:
        """Return the precomputed states of the audio; None if audio is encoded in every step."""
        copies = self.args.corpus.audio_state_copies
        if not copies:
            return None
        folder = states_folder(self.args.corpus.audio_states_dir, self.args.paths.output_dir)
        return AudioStates(folder, self.args.augmentation, copies, model)

    def resume(self) -> None:
        """Continue from the newest intact checkpoint, if there is one.

        Raises:
            SystemExit: If corpus, model or tokenizer differ from the run's, or no checkpoint is intact.
        """
        if not complete_checkpoints(self.folder / "checkpoints"):
            self.accelerator.print(f"{self.folder} has no checkpoint yet: starting at step 0.")
            return
        before = read_config(self.folder)
        refuse_changes(self.folder, before, self.config)
        self.state = state = self.checkpoints.load(len(self.loader))
        self.config = record_resume(before, self.config, state.step)
        self.accelerator.print(f"Resumed at step {state.step} (epoch {state.epoch}, batch {state.batch}).")

    def stop(self) -> None:
        """Request a stop: the run finishes its step and saves a checkpoint, and [`fit`] raises `Stopped`."""
        self.request.ask("stop()")

    def fit(self) -> None:
        """Train from the current step to the last.

        SIGTERM and Ctrl-C request a stop.

        Raises:
            Stopped: If a stop was requested; a checkpoint is saved first.
            FloatingPointError: If the loss or a weight is NaN or infinite; such weights are never saved.
        """
        if self.is_main:
            write_config(self.folder, self.config)
        if self.state.step >= self.steps:
            self.accelerator.print(f"Nothing to do: the run is complete at step {self.state.step}.")
        else:
            self.accelerator.print(f"{self.steps} steps, {len(self.loader)} an epoch; settings: {self.folder / CONFIG}")
        with self.request, self.progress.shown(self.state), profiled(self.args.run.profile, self.folder) as after_step:
            while self.state.step < self.steps:
                self._train_epoch(after_step)
                with self.average.applied():
                    self._finish_epoch()
                self._save()
                self._stop_if_asked(saved=True)
        if self.is_main:
            draw_curves(self.folder, self.validation.chances if self.validation else {})
        best = f"Best epoch {self.state.best_epoch}: validation UAR {self.state.best_uar:.3f}"
        self.accelerator.print(f"{best if self.validation else 'Last epoch'}. Release: {self.folder / 'best'}")

    def _train_epoch(self, after_step: Callable[[], None]) -> None:
        """Train on the rest of the current epoch, or up to the run's last step."""
        state, options = self.state, self.args.run
        self.model.train()
        loss = None
        for batch in rest_of_epoch(self.loader, self.sampler, self.accelerator, state.epoch, state.batch):
            loss = self._learn(batch)
            after_step()
            self.progress.update()
            if state.step == 1 or state.step % options.log_every == 0:
                self.progress.log(loss, self.optimizer)
            if state.step >= self.steps:
                break
            if state.batch < len(self.loader):
                if options.checkpoint_every and state.step % options.checkpoint_every == 0:
                    self._save(loss)
                self._stop_if_asked(loss)
        check_finite(loss, self.towers, state.step)
        if state.batch == len(self.loader):
            state.epoch += 1
            state.batch = 0

    def _learn(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Train on one batch and return its loss."""
        loss = self.step(batch)
        if self.args.recipe.max_grad_norm:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.args.recipe.max_grad_norm)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            self.towers.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        self.state.step += 1
        self.state.batch += 1
        self.average.update(self.state.step)
        return loss

    def _save(self, loss: torch.Tensor | None = None) -> None:
        """Write a checkpoint, unless the loss or a weight is NaN or infinite."""
        check_finite(loss, self.towers, self.state.step)
        self.progress.count_seconds()
        self.checkpoints.save(self.state)

    def _stop_if_asked(self, loss: torch.Tensor | None = None, saved: bool = False) -> None:
        """Raise `Stopped` if a stop was requested in any process, after saving unless `saved`."""
        if not self.request.agreed(self.accelerator, 0 if saved else self.state.step):
            return
        if not saved:
            self._save(loss)
        raise Stopped(f"Stopped by {self.request.reason} at step {self.state.step}.", self.request.status)

    def _finish_epoch(self) -> None:
        """Validate, print and log the results, and save the best epoch (without validation, the last) as a release."""
        state = self.state
        if self.validation and state.step < self.steps and state.epoch % self.args.run.validate_every:
            return
        epoch = state.epoch + (state.batch > 0)  # an epoch cut short by the run's last step counts
        results = self.validation(self.towers, progress=self.is_main) if self.validation else {}
        self.progress.count_seconds()
        better = not results or results["uar"] > state.best_uar
        self.accelerator.log({f"validation/{name}": value for name, value in results.items()}, step=state.step)
        if self.is_main:
            tqdm.write(self.validation.describe(epoch, results) if results else f"epoch {epoch}")
            if better:
                self._save_best(epoch, results)
            of_all_epochs = self.args.recipe.num_train_epochs * len(self.loader)
            write_progress(self.folder / "best" / "training.json", state.seconds, state.step, of_all_epochs)
            write_row(self.folder / "history.csv", {"epoch": epoch, "step": state.step, **results})
        if results and better:
            state.best_uar, state.best_epoch = results["uar"], epoch

    def _save_best(self, epoch: int, results: dict[str, float]) -> None:
        """Write the release folder of the best epoch so far, with bins and training record."""
        record = self.config | {"epoch": epoch, "step": self.state.step, "validation": results}
        with written_whole(self.folder / "best") as folder:
            save_release(self.towers, self.processor, folder)
            copy_bins(self.args.paths.corpus_dir, folder)
            (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
