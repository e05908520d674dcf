"""Spiking samples: conversion, the reference dynamics, and the sampler."""
