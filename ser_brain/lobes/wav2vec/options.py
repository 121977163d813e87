"""The architecture options of wav2vec 1.0, named as fairseq names them."""

from dataclasses import asdict, dataclass, fields

from ser_brain.lobes.fairseq_checkpoint import parse_layers

REQUIRED = ("conv_feature_layers", "skip_connections_agg", "log_compression")


@dataclass(frozen=True)
class Wav2VecOptions:
    """Options that define the architecture of a wav2vec 1.0 model.

    fairseq's own defaults of ``skip_connections_agg`` and ``log_compression``
    changed between its releases, so that these, like the layers, have no
    default here: the checkpoint must give them. The other defaults are what
    every release assumes when an option is absent.

    Arguments
    ---------
    conv_feature_layers, conv_aggregator_layers : list or str
        ``(dim, kernel, stride)`` of each layer; the aggregator's are not
        needed with ``aggregator="gru"``.
    skip_connections_agg, skip_connections_feat : bool
        Whether layers of the aggregator, of the extractor, are residual.
    log_compression : bool
        Whether the extractor ends in log(|x| + 1).
    residual_scale : float
        A residual sum is multiplied by its square root.
    agg_zero_pad : bool
        Left padding of the aggregator: zeros, else the first frame.
    no_conv_bias : bool
        Whether the aggregator's convolutions lack a bias.
    non_affine_group_norm : bool
        Whether group norms lack weight and bias.
    activation : str
        "relu" or "gelu".
    aggregator : str
        "cnn" or "gru".
    gru_dim : int
        Width of the GRU aggregator.
    dropout, dropout_features, dropout_agg : float
        Dropout inside the aggregator, before it and after it.

    Example
    -------
    >>> options = Wav2VecOptions.read(
    ...     {
    ...         "conv_feature_layers": "[(8, 10, 5), (8, 8, 4)]",
    ...         "conv_aggregator_layers": [(8, 2, 1)],
    ...         "skip_connections_agg": True,
    ...         "log_compression": True,
    ...         "arch": "wav2vec",
    ...     }
    ... )
    >>> options.conv_feature_layers, options.residual_scale
    ([(8, 10, 5), (8, 8, 4)], 0.5)
    """

    conv_feature_layers: list
    skip_connections_agg: bool
    log_compression: bool
    conv_aggregator_layers: list | None = None
    skip_connections_feat: bool = False
    residual_scale: float = 0.5
    agg_zero_pad: bool = False
    no_conv_bias: bool = False
    non_affine_group_norm: bool = False
    activation: str = "relu"
    aggregator: str = "cnn"
    gru_dim: int = 512
    dropout: float = 0.0
    dropout_features: float = 0.0
    dropout_agg: float = 0.0

    @classmethod
    def read(cls, options):
        """Select and check the architecture options of a checkpoint.

        Arguments
        ---------
        options : dict
            Options by fairseq's names; those that do not concern the
            architecture are ignored.

        Returns
        -------
        Wav2VecOptions

        Raises
        ------
        ValueError
            If one is missing, unknown or of the wrong type.
        """
        if not isinstance(options, dict):
            raise ValueError(
                "the wav2vec options are not a mapping of names to values: "
                "save the model again."
            )
        missing = [name for name in REQUIRED if options.get(name) is None]
        if missing:
            raise ValueError(
                f"the wav2vec options lack {', '.join(missing)}: they cannot "
                "be guessed, add them."
            )
        names = {field.name for field in fields(cls)}
        return cls(**{k: v for k, v in options.items() if k in names})

    def __post_init__(self):
        self._check_types()
        self._check_choices()
        for name in ("conv_feature_layers", "conv_aggregator_layers"):
            if getattr(self, name) is not None:
                layers = parse_layers(getattr(self, name))
                object.__setattr__(self, name, layers)
        if self.aggregator == "cnn":
            self._check_cnn_aggregator()

    def _check_types(self):
        kinds = {bool: bool, str: str, int: int, float: (int, float)}
        for field in fields(self):
            value = getattr(self, field.name)
            kind = kinds.get(field.type, object)
            number_from_flag = isinstance(value, bool) and kind is not bool
            if not isinstance(value, kind) or number_from_flag:
                raise ValueError(
                    f"wav2vec option {field.name} is {value!r}, but it "
                    f"is of type {getattr(field.type, '__name__', 'list')}."
                )

    def _check_choices(self):
        choices = {"activation": ("relu", "gelu"), "aggregator": ("cnn", "gru")}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"wav2vec option {name} is '{getattr(self, name)}', but "
                    f"it is one of {', '.join(known)}."
                )
        for name in ("dropout", "dropout_features", "dropout_agg"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"wav2vec option {name} is {getattr(self, name)}, but it "
                    "is a share in [0, 1]."
                )
        if self.residual_scale < 0 or self.gru_dim < 1:
            raise ValueError(
                f"wav2vec options residual_scale ({self.residual_scale}) and "
                f"gru_dim ({self.gru_dim}) cannot be so small."
            )

    def _check_cnn_aggregator(self):
        if self.conv_aggregator_layers is None:
            raise ValueError(
                "the wav2vec options lack conv_aggregator_layers: they "
                "cannot be guessed, add them."
            )
        strides = {stride for _, _, stride in self.conv_aggregator_layers}
        if self.skip_connections_agg and strides != {1}:
            raise ValueError(
                "aggregator layers with skip connections have stride 1, but "
                f"the wav2vec options say {sorted(strides)}."
            )

    def to_dict(self):
        """Return the options as a JSON-compatible dict for ``read``."""
        return asdict(self)
