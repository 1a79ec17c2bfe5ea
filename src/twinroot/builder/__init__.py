"""The image customizer's engine: carries out a plan from base image to output."""
