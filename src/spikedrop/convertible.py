"""Names of the Keras layers that can be converted, to be asked before Keras is imported."""

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
INSTEAD = {
    "MaxPooling": "use AveragePooling, because spike counts can be averaged but not compared",
    "GlobalMaxPooling": "use GlobalAveragePooling, because spike counts can be averaged but not "
    "compared",
    "Multiply": "spikes can be added but not multiplied",
    "Lambda": "use a named layer, whose weights can be read",
    "Subtract": "use Add, with the sign in the weights",
    "LayerNormalization": "use BatchNormalization, whose statistics are fixed after training",
}


def why_not(kind: str) -> str | None:
    """Say why a layer of that class cannot be converted, and what to do; None if it can.

    >>> why_not("Dense")
    >>> why_not("Multiply")
    'cannot be converted to spiking neurons: spikes can be added but not multiplied.'
    """
    if kind in LAYERS or kind == "InputLayer":
        return None
    instead = next((INSTEAD[name] for name in INSTEAD if kind.startswith(name)), None)
    instead = instead or f"use only {', '.join(LAYERS)} (with relu)"
    return f"cannot be converted to spiking neurons: {instead}."
