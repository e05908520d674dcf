"""Names of the Keras layers and activations that can be converted, and what to do about others.

Asked before Keras is imported, so by the names that Keras gives them; whether a class or function
that carries such a name is Keras's own is asked by `spikedrop.network.keras_layers`.
"""

LAYERS = (
    "Dense",
    "Conv1D",
    "Conv2D",
    "AveragePooling1D",
    "AveragePooling2D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "Flatten",
    "Reshape",
    "Add",
    "Concatenate",
    "BatchNormalization",
    "ReLU",
    "Activation",
    "Softmax",
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianDropout",
)
ACTIVATIONS = ("relu", "linear", "softmax", "sigmoid")

_MAX = "because spike counts can be averaged but not compared"
_FRAMEWORK = (
    "it holds a program of another framework, whose layers cannot be read: build the model from "
    "Keras's own layers and copy the weights"
)
#: What to do in place of a layer, and the names of the layers (a final * stands for any ending).
_INSTEAD = {
    "it prepares data: apply it to the data before they reach the model, and build the model from "
    "the layers after it": "Rescaling Normalization Resizing CenterCrop Discretization Hashing "
    "CategoryEncoding HashedCrossing StringLookup IntegerLookup TextVectorization MelSpectrogram "
    "STFTSpectrogram MaxNumBoundingBoxes Pipeline",
    "it alters training images: apply it to the data that `fit` is given, and build the model "
    "without it": "Random* RandAugment AugMix CutMix MixUp AutoContrast Equalization Solarization "
    "ContrastLimitedAdaptiveHistogramEqualization",
    f"use AveragePooling, {_MAX}": "MaxPooling1D MaxPooling2D",
    f"use GlobalAveragePooling, {_MAX}": "GlobalMaxPooling1D GlobalMaxPooling2D AdaptiveMax*",
    "its windows have several sizes: use AveragePooling with a pool_size that divides the values, "
    "or GlobalAveragePooling": "AdaptiveAveragePooling1D AdaptiveAveragePooling2D",
    "values with three axes before the channels are not read: make two of them one, or put one "
    "into the channels, and use the layer's form in two dimensions": "AveragePooling3D Conv3D "
    "GlobalAveragePooling3D SpatialDropout3D MaxPooling3D GlobalMaxPooling3D "
    "AdaptiveAveragePooling3D Conv3DTranspose UpSampling3D ZeroPadding3D Cropping3D",
    "it gives negative values, and a firing rate is never negative: use ReLU there and train again":
    "ELU LeakyReLU PReLU",
    "it feeds its own values back and multiplies them: use Conv1D with 'relu' along the time axis, "
    "or Flatten and Dense, and train again": "RNN LSTM GRU SimpleRNN LSTMCell GRUCell "
    "SimpleRNNCell StackedRNNCells Bidirectional ConvLSTM*",
    "it multiplies values by values, and spikes can only be added: use Conv1D with 'relu' along "
    "the sequence, or Flatten and Dense, and train again": "Attention AdditiveAttention "
    "MultiHeadAttention GroupedQueryAttention GroupQueryAttention",
    "it looks up rows by whole numbers: give the model columns of 0 and 1 and let a Dense layer "
    "without bias hold the table as its kernel": "Embedding ReversibleEmbedding",
    "which values count would depend on the input: give sequences of one length, filled up with "
    "zeros, and train without it": "Masking",
    "use BatchNormalization, whose statistics are fixed after training": "LayerNormalization "
    "GroupNormalization RMSNormalization UnitNormalization",
    "it changes a kernel while training: put the layer that it wraps in its place, with the kernel "
    "as it is after training": "SpectralNormalization",
    "use Conv1D or Conv2D, whose kernel may be zero between channels": "DepthwiseConv1D "
    "DepthwiseConv2D",
    "use two convolutions, Conv1D or Conv2D: one whose kernel is zero between channels, then one "
    "of size 1": "SeparableConv1D SeparableConv2D",
    "it enlarges feature maps: keep their size with a convolution that has padding='same', or end "
    "with Flatten and Dense": "Conv1DTranspose Conv2DTranspose UpSampling1D UpSampling2D",
    "give the convolution after it padding='same', or pad the data before they reach the model":
    "ZeroPadding1D ZeroPadding2D",
    "crop the data before they reach the model, or use a convolution with padding='valid' before "
    "it": "Cropping1D Cropping2D",
    "transpose the data before they reach the model; before Flatten and Dense, leave it out and "
    "reorder the rows of that kernel": "Permute",
    "put what it reads several times into Concatenate": "RepeatVector",
    "use a named layer, whose weights can be read": "Lambda",
    "spikes can be added but not multiplied; use Add or Concatenate and train again":
    "Multiply Dot",
    "use Add, with the sign in the weights": "Subtract",
    "use Add, and divide the weights that read it by the number of its inputs": "Average",
    "spike counts can be added but not compared; use Add or Concatenate and train again":
    "Maximum Minimum",
    "its noise is only there in training: build the model without it, or use GaussianDropout, "
    "whose noise stays": "GaussianNoise",
    "it belongs to selu, which gives negative values: use Dropout, with 'relu'": "AlphaDropout",
    "it acts only in training: build the model without it and copy the weights":
    "ActivityRegularization",
    "it does nothing: build the model without it": "Identity",
    "use Dense, after Flatten where it sums over several axes": "EinsumDense",
    "Dense acts at every position by itself: put the layer that it wraps in its place":
    "TimeDistributed",
    "it is a base class: put the layer itself in its place": "Layer Wrapper",
    _FRAMEWORK: "TFSMLayer TorchModuleWrapper JaxLayer FlaxLayer",
}  # fmt: skip

_AT_THE_END = "where the network ends, leave it out and apply it to the samples"
_NEGATIVE = (
    "it gives negative values, and a firing rate is never negative: use 'relu' in hidden layers "
    f"and train again; {_AT_THE_END}"
)
_CURVED = (
    "a spiking neuron's rate is max(0, x), not this curve: use 'relu' in hidden layers and train "
    f"again; {_AT_THE_END}"
)
_BOUNDED = (
    "a spiking neuron's rate has no ceiling of its own: use 'relu' in hidden layers and train "
    f"again; {_AT_THE_END}"
)
#: What to do in place of an activation.
_INSTEAD_OF_ACTIVATION = {
    _NEGATIVE: "tanh hard_tanh softsign tanh_shrink elu selu celu leaky_relu gelu silu swish mish "
    "hard_silu hard_swish log_sigmoid hard_shrink soft_shrink",
    _CURVED: "softplus squareplus exponential sparse_plus threshold",
    _BOUNDED: "relu6 hard_sigmoid sparse_sigmoid",
    "end with 'softmax' and take the logarithm of the samples": "log_softmax",
    "it sorts the values, and spike counts cannot be compared: end with 'softmax' and train again":
    "sparsemax",
    "it multiplies values by values, and spikes can only be added: use 'relu' in hidden layers and "
    "train again": "glu",
}  # fmt: skip

#: What to do in place of an operation on tensors, by the name of its class.
_INSTEAD_OF_OPERATION = {
    "use keras.layers.Add, with a constant in the bias of the layer before": "Add",
    "use keras.layers.Concatenate": "Concatenate",
    "use keras.layers.ReLU": "Relu",
    "use keras.layers.Softmax": "Softmax",
    "use keras.layers.Activation": "Sigmoid",
    "use keras.layers.Flatten": "Reshape Ravel Squeeze",
    "use AveragePooling or GlobalAveragePooling": "Mean AveragePool AdaptiveAveragePool",
    "scale the data before they reach the model, or the weights of the layer that reads it":
    "Multiply TrueDivide Divide Negative",
    "put the sign into the weights, or scale the data before they reach the model": "Subtract",
    "give the model the parts as inputs of their own": "GetItem Split",
}  # fmt: skip


def _found(table: dict[str, str], name: str) -> str | None:
    """Return the text whose names hold `name`."""
    for text, names in table.items():
        for known in names.split():
            if name == known or (known.endswith("*") and name.startswith(known[:-1])):
                return text
    return None


def why_not(kind: str) -> str | None:
    """Say why a layer of that class cannot be converted, and what to do; None if it can.

    >>> why_not("Dense")
    >>> why_not("Subtract")
    'cannot be converted to spiking neurons: use Add, with the sign in the weights.'
    """
    if kind in LAYERS or kind == "InputLayer":
        return None
    instead = _found(_INSTEAD, kind)
    instead = instead or f"use only {', '.join(LAYERS)} (with relu)"
    return f"cannot be converted to spiking neurons: {instead}."


def why_not_activation(name: str) -> str | None:
    """Say why an activation of Keras cannot be converted, and what to do; None if it can.

    >>> why_not_activation("relu")
    >>> why_not_activation("log_softmax")
    "cannot be converted: end with 'softmax' and take the logarithm of the samples."
    """
    if name in ACTIVATIONS:
        return None
    instead = _found(_INSTEAD_OF_ACTIVATION, name)
    instead = instead or (
        "use 'relu' in hidden layers (a firing rate is never negative), and no activation, softmax "
        "or sigmoid at the end"
    )
    return f"cannot be converted: {instead}."


def instead_of_operation(kind: str) -> str:
    """Say what to do in place of an operation on tensors.

    >>> instead_of_operation("Relu")
    'use keras.layers.ReLU'
    """
    return _found(_INSTEAD_OF_OPERATION, kind) or "use keras.layers.Add or Concatenate"
