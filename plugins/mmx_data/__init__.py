"""What `mmx data` does: looking at data, packing it into shards, proving that it is whole."""
