"""Scrapes /metrics: `scrape.py PORT PER_SECOND` until it is ended. `scrape_ms` is one request."""

import socket
import sys
import time

BUFFER = bytearray(1 << 20)


def scrape_ms(port, path="/metrics"):
    """Milliseconds from just before the connection to the last byte, and how many bytes came."""
    began = time.monotonic_ns()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        status, size = None, 0
        while length := connection.recv_into(BUFFER):
            status = status or bytes(BUFFER[:12])
            size += length
    if status != b"HTTP/1.1 200":
        raise OSError(f"{path} answers {status}")
    return (time.monotonic_ns() - began) / 1e6, size


def main():
    port, period = int(sys.argv[1]), 1 / float(sys.argv[2])
    due = time.monotonic()
    while True:
        scrape_ms(port)
        # What cannot be kept is not made up for.
        due = max(due + period, time.monotonic())
        time.sleep(max(0, due - time.monotonic()))


if __name__ == "__main__":
    main()
