.DEFAULT_GOAL := help

.PHONY: help
help:
	@echo skeleton
