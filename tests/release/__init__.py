"""Building, trying and cutting a release."""
