"""Work over many notes: functions from Arrow record batches to Arrow record batches, and the files around them."""
