"""RESP2 and RESP3: bytes in, arguments out; values in, bytes out."""
