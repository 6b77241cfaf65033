"""Every error that kefu raises on purpose, drawn as a tree.

KefuError
├── SettingsError          a setting or a config key has a wrong value
├── DataError              a data file breaks its format
│   └── NotFound           a named file, folder or record is not there
└── ModelError             something about a model
    ├── ModelNotFound      no such model, and where it was looked for
    ├── ModelCorrupt       the files are there and are not what they should be
    └── GenerationError    the generator gave no usable draft
        ├── DeadlineExceeded
        └── Unavailable

Messages name the cause and the mend in one line and quote the key and the value they are about. Commands print
them without a traceback.
"""


class KefuError(Exception):
    """Base of all errors that kefu raises on purpose."""


class SettingsError(KefuError):
    """A setting or a config key has a value it cannot have."""


class DataError(KefuError):
    """A data file breaks its format."""


class NotFound(DataError):
    """A named file, folder or record is not there."""


class ModelError(KefuError):
    """Something about a model."""


class ModelNotFound(ModelError):
    """No model of that name, and where it was looked for."""


class ModelCorrupt(ModelError):
    """A model's files are there, but they are not what they should be."""


class GenerationError(ModelError):
    """The generator gave no usable draft."""


class DeadlineExceeded(GenerationError):
    """The draft was not ready in time."""


class Unavailable(GenerationError):
    """The generator is not asked for now, because it failed or is overloaded."""
