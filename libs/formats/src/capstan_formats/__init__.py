"""What several services read and write as bytes: packages, sketches, log segments, the online store codec."""
