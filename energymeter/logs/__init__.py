"""Files of samples: writing our own, reading them again, and reading those of others."""
