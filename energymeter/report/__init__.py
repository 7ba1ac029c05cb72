"""What a measurement is shown and proved with: figures, pages, verification, files for other programs."""
