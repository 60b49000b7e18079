# One-word doors. Recipes use relative paths only: the folder may be called anything.
.DEFAULT_GOAL := help
BIN := .venv/bin
ACT_THERE = { [ -x $(BIN)/act ] || sh scripts/extra.sh actions; }
.PHONY: help setup extra repro test push pull lab lock bench proofs export clean ci ci-drift ci-retrain ci-release docs docs-serve

help:  ## list what make can do
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 12

setup:  ## build .venv from the lock (every other word does it when needed)
	@sh scripts/setup.sh

extra: setup  ## install what few need: WITH=s3, WITH=mlflow or WITH="s3 mlflow"
	@sh scripts/extra.sh $(WITH)

repro: setup  ## bring the pipeline up to date and say what happened
	@$(BIN)/mlops-nb repro

test: setup  ## run every test: notebooks, package, pipeline; COVERAGE=1 counts the lines they reach, as CI does
	@sh scripts/test.sh

push: setup  ## send what dvc.lock names to the DVC remote
	@$(BIN)/mlops-nb push

pull: setup  ## bring what dvc.lock names from the DVC remote
	@$(BIN)/mlops-nb pull

lab: setup  ## open JupyterLab on the notebooks; they are saved clean
	@$(BIN)/jupyter lab --ContentsManager.pre_save_hook=mlops_kit.notebooks.source.clean_on_save --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/nbs/index.ipynb $(LAB)

ci: setup  ## run the workflow ci here, on the last commit; ACT="--keep" adds options
	@$(ACT_THERE) && $(BIN)/mlops-nb act ci $(ACT)

ci-drift: setup  ## the same for the workflow drift
	@$(ACT_THERE) && $(BIN)/mlops-nb act drift $(ACT)

ci-retrain: setup  ## the same for retrain; ACT="--world ../world" keeps what it opened
	@$(ACT_THERE) && $(BIN)/mlops-nb act retrain $(ACT)

ci-release: setup  ## the same for release
	@$(ACT_THERE) && $(BIN)/mlops-nb act release $(ACT)

export: setup  ## format and clean the notebooks, export their code into the packages
	@$(BIN)/nbdev_clean && { [ ! -f lib/settings.ini ] || (cd lib && ../$(BIN)/nbdev_clean); } && $(BIN)/mlops-nb clean && $(BIN)/ruff format --quiet --no-cache . && $(BIN)/mlops-nb code

docs: setup  ## build the documentation site: docs/_build/html/index.html
	@sh scripts/docs.sh

docs-serve: docs  ## show the site at http://127.0.0.1:8000; PORT=8080 chooses another port
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory docs/_build/html $(or $(PORT),8000)

bench: setup  ## measure: start-up, cost of notebooks, nothing to do, memory
	@$(BIN)/python tests/bench/bench.py

proofs: setup  ## run the slow proofs, all or WITH="bytes kill"; tests/proofs/last_run.csv says how each ended
	@$(BIN)/python tests/proofs/run.py $(WITH)

lock: setup  ## update requirements.txt to the newest versions that settings.ini allows
	@sh scripts/lock.sh

clean:  ## remove what the pipeline made; data in DVC's cache stays
	@find data -mindepth 1 -maxdepth 1 ! -name 'source*' ! -name .gitignore -exec rm -rf {} + 2>/dev/null; rm -rf models reports projection metrics/timings.json .pytest_cache .coverage .coverage.* build lib/build *.egg-info && echo "clean; \`make repro\` brings everything back"
