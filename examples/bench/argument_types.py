"""Kinds of command-line arguments that the scripts have in common."""
import argparse


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def positives(text):
    """Of a list with commas."""
    return tuple(positive(part) for part in text.split(","))
