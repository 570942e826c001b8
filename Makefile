# Two commands: 'make book' and 'make test'. Both make the environment first.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: book test env check lab strip bench bench-statistics lock diff clean

book: env            ## run every chapter at the embedded preset and render the book
	$(BIN)/medrepro book

test: env check      ## all checks and tests; runs that are already there are reused
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup  # two workers of one thread each

check: env           ## style, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

env: $(VENV)/.ready  ## the pinned environment

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

lab: env             ## JupyterLab on the notebooks
	$(BIN)/jupyter lab --notebook-dir=notebooks

strip: env           ## clear outputs from the notebooks
	$(BIN)/jupyter nbconvert --clear-output --inplace notebooks/*.ipynb book/statistics/*.ipynb

diff: env            ## let git show readable notebook diffs, in this clone
	$(BIN)/nbdime config-git --enable

bench: env           ## measure the book's own commands
	$(BIN)/python benchmarks/book.py

bench-statistics: env build/rivals/.ready  ## measure the statistics against the programs others use
	build/rivals/bin/python benchmarks/statistics

build/rivals/.ready: benchmarks/rivals.lock $(VENV)/.ready
	rm -rf build/rivals && $(PYTHON) -m venv build/rivals
	build/rivals/bin/pip install --quiet --no-deps --requirement benchmarks/rivals.lock
	$(BIN)/python -c "import sysconfig as s; print('import site; site.addsitedir(%r)' % s.get_path('purelib'))" \
		> $$(build/rivals/bin/python -c "import sysconfig as s; print(s.get_path('purelib'))")/project.pth
	touch $@

lock: ## pin the newest versions that work together
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet torch==2.13.0 '.[dev]'
	{ sed -n '/^#/p' requirements.lock; build/lock/bin/pip freeze --exclude medrepro | sed 's/+cpu//'; } > build/lock/lock
	mv build/lock/lock requirements.lock

clean: ## remove what was built; runs stay
	rm -rf build
