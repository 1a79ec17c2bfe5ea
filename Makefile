# Twinroot: `make demo` shows it, `make test` proves it. Everything is built once and again only when its inputs change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
BASE_RPM := build/base/minimal-os.vhdx
BASE_DEB := build/base/debian.qcow2
SOURCES := $(shell find src -name '*.py')
# Tests in this many processes, each file of tests in one of them, as it may share what it built or booted.
JOBS ?= 2
PYTEST := $(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: help demo test check soak format setup images packages bench clean

help:
	@echo "make demo    build the base images, the agent and the example A/B image, show it, boot it"
	@echo "make test    everything: lint, types, layers, unit, tool and VM tests"
	@echo "make soak    longer tests: power cuts and damaged images by the dozen, kinds of machines (hours)"
	@echo "make check   the quick part of it: lint, types, layers, unit tests"
	@echo "make images  only the base images and the package repository"
	@echo "make packages  the agent's packages: bin/trident-rpms.tar.gz, bin/trident-debs.tar.gz"
	@echo "make bench   speed and memory, each figure beside its limit"
	@echo "make format  format the code"
	@echo "make clean   remove what was built"

build/.packages: packages.txt
	@mkdir -p build
	@missing=$$(grep -v '^#' packages.txt | while read -r name; do \
	    dpkg-query -W -f '$${db:Status-Abbrev}' "$$name" 2>/dev/null | grep -q '^ii' || echo "$$name"; done); \
	if [ -n "$$missing" ]; then \
	    echo "Installing system packages:" $$missing; \
	    $(SUDO) apt-get update -q && \
	    $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing; \
	fi
	@touch $@

$(VENV)/.ready: requirements.txt pyproject.toml | build/.packages
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: build/.packages $(VENV)/.ready

# The script looks at its own inputs and does nothing when they did not change.
images: setup
	@$(SUDO) $(BIN)/python distro-rpm/build.py all --output build

out/image.cosi: examples/ab-image.yaml bin/trident-rpms.tar.gz $(SOURCES) | images
	@mkdir -p out
	$(SUDO) $(BIN)/imagecustomizer --build-dir build/customize \
	    --image-file $(BASE_RPM) --config-file examples/ab-image.yaml \
	    --rpm-source build/repo/RPMS --rpm-source bin/RPMS/x86_64 --disable-base-image-rpm-repos \
	    --output-image-format cosi --output-image-file $@

PACKAGING := $(shell find packaging distro-rpm/standin/debian.py -type f -not -name '*.pyc') LICENSE

packages: bin/trident-rpms.tar.gz bin/trident-debs.tar.gz

bin/trident-%.tar.gz: $(PACKAGING) $(SOURCES) requirements.txt | setup
	@$(BIN)/python packaging/build_packages.py $*

demo: images out/image.cosi
	$(BIN)/twinroot inspect out/image.cosi
	$(BIN)/twinroot boot out/image.cosi --until "testimage login:" --timeout 600
	@echo "The image booted to its login prompt. Try it yourself: $(BIN)/twinroot boot out/image.cosi"

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint
	@$(PYTEST) -q tests/unit

# Tests in machines that passed with the same inputs are not run again but with AGAIN=1.
test: lint images
	@$(if $(AGAIN),rm -rf build/passed)
	@$(PYTEST) -m "not soak" --durations=24 -p tests.not_again --not-again build/passed

# Hours: more failing updates, unified kernels, verity, Debian; forty power cuts in updates and thirty damaged images, which print
# tables.
soak: images bin/trident-rpms.tar.gz
	@$(PYTEST) -m soak --durations=0
	@$(BIN)/python -m tests.vm.soak

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: images bin/trident-rpms.tar.gz
	@$(BIN)/python -m bench.run

clean:
	rm -rf bin build out
