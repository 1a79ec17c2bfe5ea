"""Where things are on a machine whose configuration does not say; without models, for commands that must be quick."""

DEFAULT_DATASTORE = "/var/lib/trident/datastore.sqlite"
