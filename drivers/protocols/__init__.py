"""What bytes mean: registers, frames and texts that several drivers share."""
