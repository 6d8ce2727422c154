"""Sources: one file each, read as typed Arrow record batches."""
