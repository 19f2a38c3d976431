"""One training run: it owns all that training needs, trains, saves itself, and continues where it was interrupted."""

import json
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from tqdm import tqdm
from transformers import get_scheduler

from dataset_scripts.folders import replace_folder, restore_folder
from modeling_paraclap.modeling_paraclap import ParaClapModel
from modeling_paraclap.release_paraclap import save_release

from .arguments import Arguments
from .audio_states import AudioStates
from .average import AveragedWeights
from .batches import ATTRIBUTE_GROUPS
from .build import build, lay_out, prepare_machine
from .checkpoint import load_checkpoint, save_checkpoint
from .corpus_files import copy_bins, load_split
from .loader import build_loader, prepare_loader, rest_of_epoch
from .optimizer import build_optimizer
from .profile import profiled
from .progress import Progress
from .records import describe_device, draw_curves, write_config, write_row, write_seconds
from .state import RunState
from .state_corpus import states_folder
from .step import ContrastiveStep
from .stop import Stopped, StopRequest, check_finite
from .validation import Validation

MAX_LOGIT_SCALE = math.log(100)


class Run:
    """A training run in a folder of its own.

    Args:
        args: Arguments of the run.
        accelerator: Precision, device and processes; its trackers log the curves.
        request: Tells whether the run was asked to stop.

    Raises:
        SystemExit: If the folder holds another run and this one is not to continue it.
    """

    def __init__(self, args: Arguments, accelerator: Accelerator, request: StopRequest):
        self.args, self.accelerator, self.request = args, accelerator, request
        self.folder = Path(args.paths.output_dir)
        self.is_main = accelerator.is_main_process
        if self.is_main:
            self._open_folder()
        accelerator.wait_for_everyone()
        name = "" if args.run.report_to == "tensorboard" else "paraclap"
        # W&B writes into the working directory unless it is told, and elsewhere if the folder is not there.
        accelerator.init_trackers(name, init_kwargs={"wandb": {"dir": str(self.folder / "logs")}})
        set_seed(args.recipe.seed, device_specific=True)
        prepare_machine(args.run.tf32, accelerator.device)
        self._build()
        self.state = RunState()
        samples = args.recipe.batch_size * accelerator.num_processes
        self.progress = Progress(accelerator, self.towers, self.folder, self.steps, samples)

    def _open_folder(self) -> None:
        """Make the run's folder and write its config.json; refuse a folder that holds another run."""
        if not self.args.paths.resume and (self.folder / "config.json").exists():
            sys.exit(f"{self.folder} holds a run already: give --resume to go on with it, or another --output_dir.")
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        restore_folder(self.folder / "best")
        write_config(self.folder, self.args, describe_device(self.accelerator))

    def _build(self) -> None:
        """Build all that learns and all that it learns from."""
        args, accelerator, recipe = self.args, self.accelerator, self.args.recipe
        model, self.processor = build(args)
        lay_out(model, accelerator)
        states = self._open_states(model)
        loader = build_loader(args, self.processor, accelerator.process_index, accelerator.num_processes, states)
        self.sampler = loader.sampler
        if states:
            model.to(accelerator.device)
            with accelerator.main_process_first():
                loader.dataset.fill(model, accelerator)
        self.validation = None
        if "validation" not in args.paths.train_split.split("+"):  # what was learned from shows nothing
            rows = load_split(args.paths.corpus_dir, "validation")
            self.validation = Validation(rows, self.processor, args.model.hypothesis_template)
        self.model, self.optimizer = accelerator.prepare(model, build_optimizer(model, recipe))
        self.loader = prepare_loader(loader, accelerator)
        self.steps = min(recipe.num_train_epochs * len(self.loader), args.run.max_steps or math.inf)
        # One step of the schedule is one step of the loop, on any number of processes: so it is not prepared.
        warmup = int(recipe.warmup_ratio * self.steps)
        self.scheduler = get_scheduler(recipe.lr_scheduler_type, self.optimizer, warmup, self.steps)
        accelerator.register_for_checkpointing(self.scheduler)
        weights = {ATTRIBUTE_GROUPS["emotion"]: recipe.emotion_weight}
        self.step = ContrastiveStep(
            accelerator, self.model, recipe.global_negatives, recipe.micro_batch_size, weights, recipe.text_noise
        )
        self.towers = self.step.towers
        self.average = AveragedWeights(self.towers, recipe.ema_decay)
        if recipe.ema_decay:
            accelerator.register_for_checkpointing(self.average)

    def _open_states(self, model: ParaClapModel) -> AudioStates | None:
        """Return the states of the audio, if it is encoded before training."""
        copies = self.args.corpus.audio_state_copies
        if not copies:
            return None
        folder = states_folder(self.args.corpus.audio_states_dir, self.args.paths.output_dir)
        return AudioStates(folder, self.args.augmentation, copies, model)

    def resume(self) -> None:
        """Continue from the newest checkpoint, if there is one."""
        resumed = load_checkpoint(self.accelerator, self.folder / "checkpoints")
        if resumed:
            self.state = RunState(**{"seconds": None} | resumed)
        state = self.state
        self.accelerator.print(f"Resumed at step {state.step} (epoch {state.epoch}, batch {state.batch}).")

    def stop(self) -> None:
        """Ask the run to stop: it ends its step, saves itself, and [`fit`] raises `Stopped`."""
        self.request.ask("stop()")

    def fit(self) -> None:
        """Train from where the run stands to its last step.

        Raises:
            Stopped: If it was asked to stop, after it has saved itself.
            FloatingPointError: If the loss or a weight is NaN or infinite, which is never saved.
        """
        if self.state.step >= self.steps:
            self.accelerator.print(f"Nothing to do: the run is complete at step {self.state.step}.")
        self.progress.start(self.state)
        with profiled(self.args.run.profile, self.folder) as after_step:
            while self.state.step < self.steps:
                self._train_epoch(after_step)
                with self.average.applied():
                    self._finish_epoch()
                self._save()
                self._stop_if_asked(saved=True)
        self.progress.close()
        if self.is_main:
            draw_curves(self.folder)
        best = f"Best epoch {self.state.best_epoch}: validation UAR {self.state.best_uar:.3f}"
        self.accelerator.print(f"{best if self.validation else 'Last epoch'}. Release: {self.folder / 'best'}")

    def _train_epoch(self, after_step: Callable[[], None]) -> None:
        """Train on the rest of the current epoch."""
        state, options = self.state, self.args.run
        self.model.train()
        loss = None
        for batch in rest_of_epoch(self.loader, self.sampler, self.accelerator, state.epoch, state.batch):
            loss = self._learn(batch)
            after_step()
            self.progress.update()
            if state.step % options.log_every == 0:
                self.progress.log(loss, self.scheduler)
            if state.step >= self.steps:
                break
            if state.batch < len(self.loader):
                if options.checkpoint_every and state.step % options.checkpoint_every == 0:
                    self._save(loss)
                self._stop_if_asked(loss)
        check_finite(loss, self.towers, state.step)
        state.epoch += 1
        state.batch = 0

    def _learn(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Make one step and return its loss."""
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
        folder = self.folder / "checkpoints"
        save_checkpoint(self.accelerator, folder, asdict(self.state), self.args.run.keep_checkpoints)

    def _stop_if_asked(self, loss: torch.Tensor | None = None, saved: bool = False) -> None:
        """Raise Stopped if one of the processes was asked to stop; all that is `saved` is not saved again."""
        if not self.request.agreed(self.accelerator, 0 if saved else self.state.step):
            return
        if not saved:
            self._save(loss)
        raise Stopped(f"Stopped by {self.request.reason} at step {self.state.step}.")

    def _finish_epoch(self) -> None:
        """Validate, print and log the results, and keep the best epoch (without results, the last) as a release."""
        state = self.state
        if self.validation and state.step < self.steps and state.epoch % self.args.run.validate_every:
            return
        results = self.validation(self.towers, progress=self.is_main) if self.validation else {}
        self.progress.count_seconds()
        better = not results or results["uar"] > state.best_uar
        self.accelerator.log({f"validation/{name}": value for name, value in results.items()}, step=state.step)
        if self.is_main:
            figures = "  ".join(f"{name} {value:.3f}" for name, value in results.items())
            tqdm.write(f"epoch {state.epoch:3}  {figures}")
            if better:
                self._save_best(results)
            record = self.folder / "best" / "training.json"
            if state.seconds is not None and record.exists():
                write_seconds(record, state.seconds)
            write_row(self.folder / "history.csv", {"epoch": state.epoch, "step": state.step, **results})
        if results and better:
            state.best_uar, state.best_epoch = results["uar"], state.epoch

    def _save_best(self, results: dict[str, float]) -> None:
        """Write the release folder of the best epoch so far, with the bins and the record of its training."""
        temporary = self.folder / "best.partial"
        shutil.rmtree(temporary, ignore_errors=True)
        save_release(self.towers, self.processor, temporary)
        copy_bins(self.args.paths.corpus_dir, temporary)
        record = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        record |= {"epoch": self.state.epoch, "validation": results}
        (temporary / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        replace_folder(temporary, self.folder / "best")
