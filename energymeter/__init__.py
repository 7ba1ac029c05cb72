"""What a piece of code costs in joules, milliamp-hours, grams of CO₂e and hours of battery left."""

__version__ = "0.1.0"
