r"""Trains ParaCLAP on a query corpus, on one process or several.

The paper's recipe (section 3.3):

    accelerate launch train_accelerate.py --corpus_dir CORPUS --output_dir RUN \
        --audio_model_name_or_path audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim \
        --text_model_name_or_path google-bert/bert-base-uncased

A small audio encoder from scratch with a frozen sentence encoder, as the default checkpoint was made:

    accelerate launch train_accelerate.py --config configs/paraclap-small.yaml --corpus_dir CORPUS --output_dir RUN

RUN gets config.json (arguments, versions, git revision), logs/ (TensorBoard), history.csv (a row per epoch),
checkpoints/ and best/, the release folder of the epoch with the best validation UAR. A killed run goes on with
--resume. Once all is chosen, --train_split train+validation learns from the speakers of both and keeps the last epoch.
"""

import gc
import json
import math
import shutil
import sys
import traceback
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.data_loader import prepare_data_loader
from accelerate.utils import DistributedType, set_seed
from safetensors import SafetensorError
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import get_scheduler

from modeling_paraclap.cpu_paraclap import convolve_channels_last
from modeling_paraclap.memory_paraclap import keep_freed_memory
from modeling_paraclap.modeling_paraclap import TOWERS
from modeling_paraclap.release_paraclap import save_release
from paraclap.training.arguments import parse_arguments
from paraclap.training.average import AveragedWeights
from paraclap.training.checkpoint import (
    complete_checkpoints,
    load_checkpoint,
    replace_folder,
    restore_folder,
    save_checkpoint,
)
from paraclap.training.data import (
    GROUPS,
    SAMPLING_RATE,
    Collator,
    EpochSampler,
    QueryCorpus,
    balance_weights,
    copy_bins,
    load_bins,
    load_split,
    vocabulary_of,
)
from paraclap.training.dropout import draw_four_at_once
from paraclap.training.encoders import build_model, build_processor
from paraclap.training.optimizer import build_optimizer
from paraclap.training.profile import profiled
from paraclap.training.progress import Progress
from paraclap.training.records import describe_device, draw_curves, write_config, write_row, write_seconds
from paraclap.training.step import ContrastiveStep
from paraclap.training.stop import TERMINATED, Stopped, Termination, check_finite, explain, leave_sigterm_to_the_trainer
from paraclap.training.stream import RowGroups, StreamedCorpus, StreamSampler
from paraclap.training.validation import Validation

MAX_LOGIT_SCALE = math.log(100)
SHARDED = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)
AUGMENTATIONS = ("part", "speed", "gain", "equaliser", "noise", "reverb", "silence")


def main(argv=None):
    """Runs the training that the arguments describe; what ends it early and is nobody's bug ends with a message."""
    args = parse_arguments(argv)
    run = Path(args.output_dir)
    accelerator = Accelerator(
        mixed_precision=args.mixed_precision,
        log_with=None if args.report_to == "none" else args.report_to,
        project_dir=str(run / "logs"),
    )
    refuse_sharding(accelerator)
    termination = Termination(every=args.log_every)
    stopped = False
    try:
        train(args, accelerator, termination)
    except Stopped as stop:
        accelerator.print(f"{stop} {where_to_go_on(run)}")
        stopped = True
    except (OSError, RuntimeError, EOFError, FloatingPointError, SafetensorError) as error:
        reason = explain(error)
        if reason is None:
            raise
        sys.exit(f"{reason} {where_to_go_on(run)}")
    finally:
        termination.close()
        # The interpreter keeps the frames of an error that nobody caught, and with them the loader. In the end it would
        # send the loader's workers a SIGTERM, which they leave to the trainer, and wait for them for ever.
        traceback.clear_frames(sys.exc_info()[2])
        # The model that averages gradients must be gone before its process group. Were it the group's last owner, it
        # would wait for the group's threads with the interpreter's lock in its hands, and they for the lock.
        accelerator.free_memory()
        gc.collect()
    accelerator.end_training()
    if stopped:
        sys.exit(TERMINATED)


def refuse_sharding(accelerator):
    """Ends a launch that would spread the weights over processes: checks, average and release want them whole."""
    if accelerator.distributed_type in SHARDED:
        sys.exit(
            f"{accelerator.distributed_type.value} spreads the weights over processes, which this program does not: a "
            "paper-size model and its optimizer take under 5 GB. Launch it with DDP: "
            "accelerate launch --config_file configs/accelerate/several_gpus.yaml train_accelerate.py ..."
        )


def train(args, accelerator, termination):
    """From the first step, or the newest checkpoint's, to the last."""
    run = Path(args.output_dir)
    if accelerator.is_main_process:
        start_run(run, args, describe_device(accelerator))
    accelerator.wait_for_everyone()
    name = "" if args.report_to == "tensorboard" else "paraclap"
    # W&B writes into the working directory unless it is told, and elsewhere if the folder is not there.
    accelerator.init_trackers(name, init_kwargs={"wandb": {"dir": str(run / "logs")}})
    set_seed(args.seed, device_specific=True)
    prepare_machine(args, accelerator.device)

    model, processor = build(args)
    lay_out(model, accelerator)
    loader, sampler = build_loader(args, processor, accelerator.process_index, accelerator.num_processes)
    validation = None
    if "validation" not in args.train_split.split("+"):  # what was learned from shows nothing
        validation = Validation(load_split(args.corpus_dir, "validation"), processor, args.hypothesis_template)
    optimizer = build_optimizer(model, args)
    model, optimizer = accelerator.prepare(model, optimizer)
    if args.streaming:
        # Each process reads its own rows: there is nothing to deal out.
        loader = prepare_data_loader(loader, accelerator.device, num_processes=1, process_index=0, put_on_device=True)
    else:
        loader = accelerator.prepare(loader)
    steps = min(args.num_train_epochs * len(loader), args.max_steps or math.inf)
    # One step of the schedule is one step of the loop, on any number of processes: so it is not prepared.
    scheduler = get_scheduler(args.lr_scheduler_type, optimizer, int(args.warmup_ratio * steps), steps)
    accelerator.register_for_checkpointing(scheduler)

    weights = {GROUPS["emotion"]: args.emotion_weight}
    step = ContrastiveStep(accelerator, model, args.global_negatives, args.micro_batch_size, weights, args.text_noise)
    average = AveragedWeights(step.towers, args.ema_decay)
    if args.ema_decay:
        accelerator.register_for_checkpointing(average)
    state = {"step": 0, "epoch": 0, "batch": 0, "best_uar": -1.0, "best_epoch": None, "seconds": 0.0}
    if args.resume:
        resumed = load_checkpoint(accelerator, run / "checkpoints")
        state = {"seconds": None} | resumed if resumed else state
        accelerator.print(f"Resumed at step {state['step']} (epoch {state['epoch']}, batch {state['batch']}).")
    if state["step"] >= steps:
        accelerator.print(f"Nothing to do: the run is complete at step {state['step']}.")
    progress = Progress(accelerator, step.towers, run, state, steps, args.batch_size * accelerator.num_processes)
    with profiled(args.profile, run) as after_step:
        while state["step"] < steps:
            train_epoch(
                accelerator,
                step,
                loader,
                sampler,
                optimizer,
                scheduler,
                args,
                run,
                state,
                steps,
                progress,
                termination,
                after_step,
                average,
            )
            with average.applied():
                results = validation(step.towers, progress=accelerator.is_main_process) if validation else {}
                finish_epoch(accelerator, step.towers, processor, args, run, state, results, progress)
            save_checkpoint(accelerator, run / "checkpoints", state, args.keep_checkpoints)
            stop_if_asked(termination, accelerator, state)
    progress.bar.close()
    if accelerator.is_main_process:
        draw_curves(run)
    kept = f"Best epoch {state['best_epoch']}: validation UAR {state['best_uar']:.3f}" if validation else "Last epoch"
    accelerator.print(f"{kept}. Release: {run / 'best'}")


def prepare_machine(args, device):
    """TensorFloat-32 for float32 products, or not; devices without it are not changed. On a CPU, quicker memory."""
    if device.type == "cpu":
        keep_freed_memory()
    torch.set_float32_matmul_precision("high" if args.tf32 else "highest")


def lay_out(model, accelerator):
    """On a CPU: cheaper random numbers, and in bfloat16 features as the layer norms between convolutions want them."""
    if accelerator.device.type != "cpu":
        return
    draw_four_at_once(model)
    if accelerator.mixed_precision == "bf16":
        convolve_channels_last(model.audio_model)


def start_run(run, args, device):
    """Makes the run's folder and writes its config.json; refuses a folder that holds another run."""
    if not args.resume and (run / "config.json").exists():
        sys.exit(f"{run} holds a run already: give --resume to go on with it, or another --output_dir.")
    (run / "logs").mkdir(parents=True, exist_ok=True)
    restore_folder(run / "best")
    write_config(run, args, device)


def where_to_go_on(run):
    """A sentence about what is left of an interrupted run."""
    newest = complete_checkpoints(run / "checkpoints")[-1:]
    return f"{newest[0]} is complete: go on with --resume." if newest else "There is no checkpoint yet."


def stop_if_asked(termination, accelerator, state, save=None):
    """Raises Stopped after a SIGTERM, once `save` has been called; None where all is saved, at an epoch's end."""
    if not termination.agreed(accelerator, state["step"] if save else 0):
        return
    if save:
        save()
    raise Stopped(f"Stopped by SIGTERM at step {state['step']}.")


def build(args):
    """Model and processor that the arguments describe, frozen where they say so."""
    model = build_model(
        audio_model_name_or_path=args.audio_model_name_or_path,
        audio_config=args.audio_config,
        text_model_name_or_path=args.text_model_name_or_path,
        text_config=args.text_config,
        filter_bank=args.filter_bank,
        spec_augment=args.spec_augment,
        projection_dim=args.projection_dim,
        projection_dropout=args.projection_dropout,
        text_pooling=args.text_pooling,
        audio_pooling=args.audio_pooling,
        center_audio=args.center_audio,
        hypothesis_template=args.hypothesis_template,
        loss_type=args.loss_type,
        logit_bias_init_value=args.logit_bias_init_value,
    )
    model.freeze_towers(*(name for name in TOWERS if getattr(args, f"freeze_{name}")))
    if args.freeze_feature_encoder:
        if not hasattr(model.audio_model, "feature_extractor"):
            sys.exit(f"--freeze_feature_encoder: a {type(model.audio_model).__name__} has no convolutional front end.")
        # The encoder's own way: it keeps no graph of the convolutions either.
        model.audio_model.feature_extractor._freeze_parameters()
    if args.compile:
        model.audio_model.compile()
        if not args.freeze_text:  # a frozen one sees each text once
            model.text_model.compile(dynamic=True)
    tokenizer = args.tokenizer_name_or_path or args.text_model_name_or_path
    if not tokenizer:
        sys.exit("A text encoder from scratch needs --tokenizer_name_or_path.")
    return model, build_processor(tokenizer, args.do_normalize, model.config.text_config.max_position_embeddings)


def build_loader(args, processor, process=0, processes=1):
    """Batches of random crops with random captions, and the sampler that sets their order.

    A streamed corpus gives each process its own part; the batches of any other are dealt out by accelerate.
    """
    augmentation = {name: getattr(args, name) for name in AUGMENTATIONS}
    options = {
        "variant": args.variant,
        "crop_s": args.crop_s,
        "max_queries": args.max_queries,
        "emotion_probability": args.emotion_probability,
        "usual_dimensions": args.usual_dimensions,
        "augmentation": augmentation,
        "bins": load_bins(args.corpus_dir) if any(augmentation.values()) else None,
        "seed": args.seed,
    }
    if args.streaming:
        labelled = "emotion" if args.variant == "only_emo" else None
        groups = RowGroups(args.corpus_dir, args.train_split, labelled)
        corpus = StreamedCorpus(groups, **options)
        sampler = StreamSampler(groups, args.seed, args.batch_size, args.shuffle_rows, process, processes)
    else:
        corpus = QueryCorpus(load_split(args.corpus_dir, args.train_split), keep_decoded=args.keep_decoded, **options)
        labels = corpus.labels.iloc[corpus.indices]
        weights = balance_weights(labels, args.balance, args.corpus_weights) if args.balance else None
        sampler = EpochSampler(len(corpus), args.seed, weights)
    if len(sampler) < args.batch_size:
        sys.exit(
            f"The training split has {len(sampler)} utterances for each process, less than one batch of "
            f"{args.batch_size}. Streaming deals out whole row groups, of which it needs several for each process."
            if args.streaming
            else f"The training split has {len(corpus)} utterances, less than one batch of {args.batch_size}."
        )
    pad_to = None if args.pad_to_longest else int(args.crop_s * SAMPLING_RATE)
    vocabulary = None if args.loss_type == "contrastive" else vocabulary_of(corpus.labels)
    collator = Collator(processor, pad_to, vocabulary, args.query_bank)
    # A short last batch would have fewer negatives, and across processes repeated samples, which are false ones.
    loader = DataLoader(
        corpus,
        batch_size=args.batch_size,
        sampler=sampler,
        collate_fn=collator,
        num_workers=args.num_workers,
        drop_last=True,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=leave_sigterm_to_the_trainer,
        persistent_workers=args.num_workers > 0,
        # Without one of its own, each new iterator draws from torch's, and a resumed epoch would see other dropout.
        generator=torch.Generator().manual_seed(args.seed),
    )
    return loader, sampler


def train_epoch(
    accelerator,
    step,
    loader,
    sampler,
    optimizer,
    scheduler,
    args,
    run,
    state,
    steps,
    progress,
    termination,
    after_step,
    average,
):
    """The rest of the epoch that `state` stands in; changes `state` as it goes."""
    model, towers = step.model, step.towers
    model.train()
    sampler.epoch = state["epoch"]
    if isinstance(sampler, StreamSampler):
        sampler.first_batch, batches = state["batch"], loader
    else:
        batches = accelerator.skip_first_batches(loader, state["batch"]) if state["batch"] else loader
    loss = None

    def save():
        check_finite(loss, towers, state)
        progress.count_seconds()
        save_checkpoint(accelerator, run / "checkpoints", state, args.keep_checkpoints)

    for batch in batches:
        loss = step(batch)
        if args.max_grad_norm:
            accelerator.clip_grad_norm_(model.parameters(), args.max_grad_norm)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        with torch.no_grad():
            towers.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        state["step"] += 1
        state["batch"] += 1
        average.update(state["step"])
        after_step()
        progress.bar.update()
        if state["step"] % args.log_every == 0:
            progress.log(loss, scheduler)
        if state["step"] >= steps:
            break
        if state["batch"] < len(loader):
            if args.checkpoint_every and state["step"] % args.checkpoint_every == 0:
                save()
            stop_if_asked(termination, accelerator, state, save)
    check_finite(loss, towers, state)
    state["epoch"] += 1
    state["batch"] = 0


def finish_epoch(accelerator, towers, processor, args, run, state, results, progress):
    """Prints and logs the validation, and keeps the best epoch as a release folder; without one, the last."""
    progress.count_seconds()
    better = not results or results["uar"] > state["best_uar"]
    accelerator.log({f"validation/{name}": value for name, value in results.items()}, step=state["step"])
    if accelerator.is_main_process:
        figures = "  ".join(f"{name} {value:.3f}" for name, value in results.items())
        tqdm.write(f"epoch {state['epoch']:3}  {figures}")
        if better:
            save_best(towers, processor, args, run, state["epoch"], results)
        record = run / "best" / "training.json"
        if state["seconds"] is not None and record.exists():
            write_seconds(record, state["seconds"])
        write_row(run / "history.csv", {"epoch": state["epoch"], "step": state["step"], **results})
    if results and better:
        state["best_uar"], state["best_epoch"] = results["uar"], state["epoch"]


def save_best(model, processor, args, run, epoch, results):
    """The release folder of the best epoch so far, with the bins and the record of its training."""
    temporary = run / "best.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    save_release(model, processor, temporary)
    copy_bins(args.corpus_dir, temporary)
    record = json.loads((run / "config.json").read_text(encoding="utf-8"))
    record |= {"epoch": epoch, "validation": results}
    (temporary / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    replace_folder(temporary, run / "best")
