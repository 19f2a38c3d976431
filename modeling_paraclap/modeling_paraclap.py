"""ParaCLAP: an utterance and free-text queries about how it is spoken, in one embedding space."""

from os import PathLike
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import can_return_tuple

from .audio_tower_paraclap import ParaClapFrontEnd
from .configuration_paraclap import ParaClapConfig
from .cpu_paraclap import lay_out_for_cpu
from .freezing_paraclap import freeze_layers, frozen_modules
from .heard_paraclap import HeardAudio
from .loading_paraclap import RemembersLoading
from .losses_paraclap import LOSSES, same_captions
from .members_paraclap import ParaClapMember, add_parts, embed_heard, join_members, split_members
from .output_paraclap import ParaClapOutput
from .pickling_paraclap import make_picklable
from .pooling_paraclap import ChannelNorm, ParaClapAudioPooling, masked_mean
from .running_statistics_paraclap import audio_learns, hold_frozen_statistics, own_parameters
from .towers_paraclap import MASK_EMBEDDING, build_tower, input_dtype, load_encoder

TOWERS = ("audio", "text")


class ParaClapPreTrainedModel(RemembersLoading, PreTrainedModel):
    """Initialisation, and what transformers needs to know of the towers."""

    config_class = ParaClapConfig
    base_model_prefix = "paraclap"
    main_input_name = "input_ids"  # the first argument of `forward`
    input_modalities = ("audio", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, (ChannelNorm, ParaClapAudioPooling)):
            module.reset()
        if isinstance(module, ParaClapFrontEnd):
            module.fill()
        if isinstance(module, (ParaClapModel, ParaClapMember)) and module.audio_center is not None:
            init.zeros_(module.audio_center)
        if isinstance(module, ParaClapModel):
            init.constant_(module.logit_scale, self.config.logit_scale_init_value)
            if module.logit_bias is not None:
                init.constant_(module.logit_bias, self.config.logit_bias_init_value)


class ParaClapModel(ParaClapPreTrainedModel):
    """Audio encoder and text encoder with a projection each, compared by the scaled cosine (paper, section 2.1).

    Example:
        >>> import torch
        >>> from transformers import BertConfig, Wav2Vec2Config
        >>> from modeling_paraclap import ParaClapConfig, ParaClapModel
        >>> small = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
        >>> audio = Wav2Vec2Config(conv_dim=[16] * 7, feat_extract_norm="layer", num_conv_pos_embeddings=8, **small)
        >>> config = ParaClapConfig(audio_config=audio, text_config=BertConfig(**small), projection_dim=16)
        >>> model = ParaClapModel(config).eval()
        >>> out = model(input_ids=torch.tensor([[5, 6], [7, 8]]), input_values=torch.randn(3, 16000))
        >>> out.logits_per_audio.shape, out.audio_embeds.shape
        (torch.Size([3, 2]), torch.Size([3, 16]))
    """

    def __init__(self, config: ParaClapConfig):
        super().__init__(config)
        self.audio_model = build_tower(config.audio_config)
        self.text_model = build_tower(config.text_config)
        make_picklable(self)
        hold_frozen_statistics(self)
        add_parts(self, config, measures=True)
        self.members = nn.ModuleList(ParaClapMember(config) for _ in range(config.num_members - 1))
        self.logit_scale = nn.Parameter(torch.tensor(float(config.logit_scale_init_value)))
        bias = torch.tensor(float(config.logit_bias_init_value))
        self.logit_bias = nn.Parameter(bias) if LOSSES[config.loss_type].has_bias else None
        self._own_parameters = own_parameters(self)
        self.frozen_towers, self.frozen_audio_layers = (), None
        self.post_init()

    @classmethod
    def from_encoders_pretrained(
        cls, audio_model_name_or_path: str | PathLike, text_model_name_or_path: str | PathLike, **config_kwargs
    ) -> "ParaClapModel":
        """Build a model of two pretrained encoders, with projections from scratch.

        Args:
            audio_model_name_or_path: Hub id or folder of a raw-waveform encoder, or of a Whisper (its encoder).
            text_model_name_or_path: Hub id or folder of a BERT-like encoder.
            **config_kwargs: Further arguments of [`ParaClapConfig`], for example `text_pooling="mean"`.
        """
        towers = {}
        for name, source in {"audio": audio_model_name_or_path, "text": text_model_name_or_path}.items():
            towers[name] = load_encoder(source)
        audio_config = towers["audio"].config
        if "apply_spec_augment" in config_kwargs:
            audio_config.apply_spec_augment = config_kwargs.pop("apply_spec_augment")
        model = cls(ParaClapConfig(audio_config=audio_config, text_config=towers["text"].config, **config_kwargs))
        for name, tower in towers.items():
            model.load_tower(name, tower)
        return model

    def load_tower(self, name: str, pretrained: PreTrainedModel) -> None:
        """Copy a pretrained encoder's weights into the `"audio"` or `"text"` tower, every key accounted for.

        BERT's pooler and an unused mask embedding are dropped; a mask embedding that the encoder lacks stays new.

        Raises:
            RuntimeError: If any other key is missing or left over.
        """
        tower = getattr(self, f"{name}_model")
        weights, own = pretrained.state_dict(), tower.state_dict()
        dropped = [key for key in weights if key not in own and (key.startswith("pooler.") or key == MASK_EMBEDDING)]
        weights = {key: value for key, value in weights.items() if key not in dropped}
        if MASK_EMBEDDING in own:
            weights.setdefault(MASK_EMBEDDING, own[MASK_EMBEDDING])
        tower.load_state_dict(weights)

    def freeze_towers(self, *names) -> "ParaClapModel":
        """Freeze the named encoders: no gradients, and evaluation mode even after `model.train()`.

        The projections go on learning. Each call replaces the choice; without names, both encoders learn again.

        Args:
            *names: `"audio"`, `"text"`, or both.

        Raises:
            ValueError: If a name is another one.
        """
        for name in names:
            if name not in TOWERS:
                raise ValueError(f"Unknown tower {name!r}: expected 'audio' or 'text'.")
        self.frozen_towers = names
        for name in TOWERS:
            getattr(self, f"{name}_model").requires_grad_(name not in names)
        self.frozen_audio_layers = None
        return self.train(self.training)

    def freeze_audio_layers(self, number: int) -> "ParaClapModel":
        """Freeze the audio encoder from the bottom up: no gradients, no graph, and evaluation mode.

        Call it after `freeze_towers`, which makes a new start.

        Args:
            number: Lower layers to freeze in addition to the front end and the positional embedding; 0 freezes
                only those two.

        Returns:
            The model.

        Raises:
            ValueError: If the encoder has fewer layers.
        """
        freeze_layers(self.audio_model, number)
        self.frozen_audio_layers = number
        return self.train(self.training)

    def train(self, mode: bool = True) -> "ParaClapModel":
        """Set training mode, except for frozen modules, which keep dropout and SpecAugment off."""
        super().train(mode)
        for name in self.frozen_towers:
            getattr(self, f"{name}_model").eval()
        if self.frozen_audio_layers is not None:
            for module in frozen_modules(self.audio_model, self.frozen_audio_layers):
                module.eval()
        return self

    def optimize_for_cpu(self, int8: bool = False) -> "ParaClapModel":
        """Optimize the audio tower in place for faster inference on a CPU.

        Weights are arranged for the processor once, the features of a waveform encoder stay side by side, and a long
        convolution becomes a product of spectra. The model can neither learn nor be saved after that. What each setting
        gains, and what it costs in precision, is measured by `benchmarks.inference`.

        Args:
            int8: Whether the transformer's weights become 8-bit integers and what is before it bfloat16: the fastest,
                for large encoders. The model has to be float32.

        Returns:
            The model.

        Raises:
            ValueError: If the model is not on the CPU, was laid out before, or cannot be computed with 8-bit weights.

        Example:
            >>> import torch
            >>> from transformers import BertConfig
            >>> from modeling_paraclap import ParaClapAudioConfig, ParaClapConfig, ParaClapModel
            >>> audio, text = ParaClapAudioConfig(num_hidden_layers=1), BertConfig(num_hidden_layers=1)
            >>> model = ParaClapModel(ParaClapConfig(audio_config=audio, text_config=text)).eval()
            >>> before = model.get_audio_features(torch.ones(1, 16000)).pooler_output
            >>> after = model.optimize_for_cpu().get_audio_features(torch.ones(1, 16000)).pooler_output
            >>> torch.allclose(before, after, atol=1e-5)
            True
        """
        lay_out_for_cpu(self, int8)
        return self

    def get_input_embeddings(self) -> nn.Module:
        """Return the text tower's token embeddings."""
        return self.text_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the text tower's token embeddings."""
        self.text_model.set_input_embeddings(value)

    def save_pretrained(self, save_directory: str | PathLike, *args: Any, **kwargs: Any) -> None:
        """Save weights, configuration and the code of a release, with the rights that other files have.

        Args:
            save_directory: Folder to write; created if missing.
            *args: Handed to `PreTrainedModel.save_pretrained`.
            **kwargs: Likewise.
        """
        from .release_paraclap import share_rights

        super().save_pretrained(save_directory, *args, **kwargs)
        share_rights(save_directory)

    def hear(self, input_values: torch.Tensor, padding_mask: torch.Tensor | None = None, **kwargs: Any) -> HeardAudio:
        """Return what the audio encoder makes of utterances, before anything of the shared space.

        Args:
            input_values: (batch, samples), mono waveform at the audio encoder's rate (16 kHz).
            padding_mask: (batch, samples), 1 for samples, 0 for padding; without it nothing is padding.
            **kwargs: Handed to the audio encoder.
        """
        input_values = input_values.to(input_dtype(self.audio_model))
        if self.config.audio_layer_weights is not None:
            kwargs["output_hidden_states"] = True
        outputs = self.audio_model(input_values, attention_mask=padding_mask, return_dict=True, **kwargs)
        mask = None
        if padding_mask is not None:
            lengths = self.audio_model._get_feat_extract_output_lengths(padding_mask.sum(-1))
            frames = torch.arange(outputs.last_hidden_state.shape[1], device=lengths.device)
            mask = frames[None] < lengths[:, None]
        return HeardAudio(outputs, mask, None if self.cues is None else self.cues.measure(input_values, padding_mask))

    @can_return_tuple
    def get_audio_features(
        self,
        input_values: torch.Tensor | None = None,
        padding_mask: torch.Tensor | None = None,
        audio_states: torch.Tensor | None = None,
        audio_cues: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPooling:
        """Return the projected embedding of each utterance.

        Args:
            input_values: (batch, samples), mono waveform at the audio encoder's rate (16 kHz).
            padding_mask: (batch, samples), 1 for samples, 0 for padding; without it nothing is padding. With
                `audio_states` it is theirs: (batch, frames).
            audio_states: (batch, layers, frames, dim), states from before in the place of `input_values`; see
                [`HeardAudio.from_states`].
            audio_cues: (batch, cues), the cues that belong to `audio_states`.
            **kwargs: Handed to the audio tower, for example `output_hidden_states=True`.

        Returns:
            `BaseModelOutputWithPooling`, `pooler_output` (batch, embedding_dim) normalised if members are several.

        A padded utterance has the embedding that it has alone, if the encoder's front end normalises each frame by
        itself (`feat_extract_norm="layer"`, as in the "large" models). One that normalises over time
        (`feat_extract_norm="group"`, "base" models), and the convolutions behind the mask of SEW and data2vec-audio,
        see the padding whatever the mask says.
        """
        moving = self.training and audio_learns(self, self._own_parameters)
        if audio_states is None:
            heard = self.hear(input_values, padding_mask, **kwargs)
        else:
            heard = HeardAudio.from_states(self.config, audio_states, padding_mask, audio_cues)
        embeds = [embed_heard(member, heard, moving) for member in (self, *self.members)]
        wanted = self.config.audio_layer_weights is None or kwargs.get("output_hidden_states")
        return BaseModelOutputWithPooling(
            last_hidden_state=heard.outputs.last_hidden_state,
            pooler_output=join_members(embeds),
            hidden_states=heard.outputs.hidden_states if wanted else None,
            attentions=heard.outputs.attentions,
        )

    @can_return_tuple
    def get_text_features(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        text_states: torch.Tensor | None = None,
        **kwargs,
    ) -> BaseModelOutputWithPooling:
        """Return the projected embedding of each query.

        Args:
            input_ids: (batch, tokens).
            attention_mask: (batch, tokens), 1 for tokens, 0 for padding.
            text_states: (batch, hidden size) of [`~ParaClapModel.pool_text`] from before, in the place of both.
            **kwargs: Handed to the text tower, for example `token_type_ids` or `output_attentions=True`.

        Returns:
            `BaseModelOutputWithPooling`, `pooler_output` (batch, embedding_dim) normalised if members are several.
        """
        if text_states is not None:
            return BaseModelOutputWithPooling(pooler_output=self._project_text(text_states))
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        outputs = self.text_model(input_ids, attention_mask=attention_mask, return_dict=True, **kwargs)
        states = outputs.last_hidden_state
        return BaseModelOutputWithPooling(
            last_hidden_state=states,
            pooler_output=self._project_text(self.pool_text(states, attention_mask)),
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def _project_text(self, pooled: torch.Tensor) -> torch.Tensor:
        return join_members([member.text_projection(pooled) for member in (self, *self.members)])

    def pool_text(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
        """Pool (batch, tokens, hidden size) to (batch, hidden size), as `config.text_pooling` says."""
        return hidden_states[:, 0] if self.config.text_pooling == "cls" else masked_mean(hidden_states, attention_mask)

    def similarity(self, audio_embeds: torch.Tensor, text_embeds: torch.Tensor) -> torch.Tensor:
        """Return (n_audio, n_text) logits of embeddings of unit length: the cosine, times exp(logit scale)."""
        logits = self.logit_scale.exp() * audio_embeds @ text_embeds.t()
        return logits if self.logit_bias is None else logits + self.logit_bias

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        input_values: torch.Tensor | None = None,
        padding_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        return_loss: bool | None = None,
        positives: torch.Tensor | None = None,
        unknown: torch.Tensor | None = None,
        text_states: torch.Tensor | None = None,
        groups: torch.Tensor | None = None,
        audio_states: torch.Tensor | None = None,
        audio_cues: torch.Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        **kwargs,
    ) -> ParaClapOutput:
        """Compare utterances with queries.

        Args:
            input_ids: (n_text, tokens).
            attention_mask: (n_text, tokens).
            input_values: (n_audio, samples), mono at 16 kHz.
            padding_mask: (n_audio, samples).
            token_type_ids: (n_text, tokens), where the text encoder has them.
            position_ids: (n_text, tokens).
            return_loss: Whether to compute the loss. Without `positives`, n_audio = n_text and pair i belongs together.
            positives: (n_audio, n_text) booleans for the losses with several positives: which text describes which
                audio. Without it captions of the same text are positives of each other.
            unknown: (n_audio, n_text) booleans, with `positives`: pairs that the loss is to leave out.
            text_states: (n_text, hidden size), what `pool_text` gave for these texts before, in the place of tokens.
            groups: (n_text,) integers for the grouped loss, with `positives`: texts of one number exclude each other,
                -1 stands for none.
            audio_states: (n_audio, layers, frames, dim), what the audio encoder gave before; see `get_audio_features`.
            audio_cues: (n_audio, cues), likewise.
            output_attentions: Whether both towers' outputs carry their attentions.
            output_hidden_states: Whether both towers' outputs carry their hidden states.
            **kwargs: Handed to both towers.

        Returns:
            [`ParaClapOutput`].
        """
        kwargs |= {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        audio_outputs = self.get_audio_features(
            input_values,
            padding_mask,
            audio_states=audio_states,
            audio_cues=audio_cues,
            return_dict=True,
            **kwargs,
        )
        text_outputs = self.get_text_features(
            input_ids,
            attention_mask,
            token_type_ids=token_type_ids,
            position_ids=position_ids,
            text_states=text_states,
            return_dict=True,
            **kwargs,
        )
        audio_embeds = F.normalize(audio_outputs.pooler_output, dim=-1)
        text_embeds = F.normalize(text_outputs.pooler_output, dim=-1)
        logits_per_audio = self.similarity(audio_embeds, text_embeds)
        loss = None
        if return_loss:
            labels = (input_ids, attention_mask, positives, unknown)
            loss = self.embedding_loss(audio_embeds, text_embeds, *labels, groups=groups)
        return ParaClapOutput(
            loss=loss,
            logits_per_audio=logits_per_audio,
            logits_per_text=logits_per_audio.t(),
            audio_embeds=audio_embeds,
            text_embeds=text_embeds,
            audio_model_output=audio_outputs,
            text_model_output=text_outputs,
        )

    def embedding_loss(self, audio_embeds: torch.Tensor, text_embeds: torch.Tensor, *args, **kwargs) -> torch.Tensor:
        """Return the mean of the members' losses, each of its own part of embeddings of unit length.

        Args:
            audio_embeds: (n_audio, embedding_dim).
            text_embeds: (n_text, embedding_dim).
            *args: As of [`~ParaClapModel.loss`] behind the logits.
            **kwargs: Likewise.
        """
        number = self.config.num_members
        pairs = zip(split_members(audio_embeds, number), split_members(text_embeds, number), strict=True)
        return sum(self.loss(self.similarity(audio, text), *args, **kwargs) for audio, text in pairs) / number

    def loss(
        self,
        logits_per_audio: torch.Tensor,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        positives: torch.Tensor | None = None,
        unknown: torch.Tensor | None = None,
        **grouping,
    ) -> torch.Tensor:
        """Return the loss that `config.loss_type` names; for the arguments see `forward` and the losses."""
        loss = LOSSES[self.config.loss_type]
        n_audio, n_text = logits_per_audio.shape
        if n_audio != n_text and not (loss.needs_positives and positives is not None):
            raise ValueError(f"A loss needs a caption for each utterance; there are {n_audio} and {n_text} captions.")
        if not loss.needs_positives:
            return loss.function(logits_per_audio)
        if positives is None:
            positives = same_captions(input_ids, attention_mask)
        return loss.function(logits_per_audio, positives, unknown, **(grouping if loss.takes_groups else {}))


ParaClapModel.register_for_auto_class("AutoModel")
