"""Inference on new audio with a trained run."""

from ser_brain.inference.classifier import load_classifier, save_classifier
from ser_brain.inference.recognizer import EmotionRecognizer
