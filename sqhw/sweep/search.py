"""Points that Optuna chooses from what the points before them came to.

The study is a journal, a file of JSON lines in the folder of the sweep.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from sqhw.environment.extras import need_package
from sqhw.errors import SqhwError
from sqhw.names import DIRECTIONS
from sqhw.steps.progress import Progress, silent
from sqhw.sweep.driver import Driver, Tally
from sqhw.sweep.executors import Place
from sqhw.sweep.point import make_point
from sqhw.sweep.space import Range, Sample
from sqhw.sweep.spec import Search, Spec
from sqhw.sweep.store import Store
from sqhw.sweep.versions import versions


def run_search(
    spec: Spec,
    store: Store,
    open_place: Callable[[], Place],
    *,
    retry: bool = False,
    progress: Progress = silent,
) -> Tally:
    """Compute the points of a study until it has as many trials as the spec says.

    Parameters
    ----------
    spec : Spec
        One with a space of ranges.
    store, open_place, retry, progress
        See `sqhw.sweep.driver.Driver`.

    Raises
    ------
    SqhwError
        If Optuna is not installed or a figure of the objectives is no figure of the step; as
        `Driver.run` besides.
    """
    need_package("optuna", "search.sampler optuna")
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    space, search = spec.space, spec.search
    assert isinstance(space, Sample)
    assert search is not None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = store.root / "specs" / f"{spec.name}-{spec.digest}.journal"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of features that Optuna calls experimental
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal))),
            study_name=spec.digest,
            directions=[DIRECTIONS[name] for name in search.objectives],
            load_if_exists=True,
        )
    # A sampler with the seed of the start would propose the first points again.
    begun = len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=search.seed + begun)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):  # of a driver that was killed
        study.tell(trial.number, state=TrialState.FAIL)
    ended = study.get_trials(states=(TrialState.COMPLETE, TrialState.FAIL), deepcopy=False)
    known = [trial for trial in ended if trial.values or "address" in trial.user_attrs]
    distributions = {name: _distribution(one) for name, one in space.ranges.items()}
    current = versions()
    trials: dict[str, list[Any]] = {}

    def ask() -> Any:
        trial = study.ask(distributions)
        chosen = {name: _value(space.ranges[name], got) for name, got in trial.params.items()}
        point = make_point(spec.step, {**space.fixed, **chosen}, current)
        trials.setdefault(point.address, []).append(trial)
        return point

    def tell(address: str, error: str | None) -> None:
        for trial in trials.pop(address, []):
            if error is None:
                study.tell(trial, _objectives(search, store.figures(address)))
            else:
                trial.set_user_attr("address", address)
                study.tell(trial, state=TrialState.FAIL)

    left = max(0, search.points - len(known))
    driver = Driver(
        store, open_place, search.points, retry=retry, progress=progress, ended=tell, single=True
    )
    driver.tally.found += sum(1 for trial in known if trial.values)
    for trial in known:
        if not trial.values:
            address = str(trial.user_attrs["address"])
            driver.tally.fail(address, store.failure(address) or "")
    return driver.run(ask() for _ in range(left))


def _distribution(one: Range | list[Any]) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(one, list):  # Optuna takes plain values only, so their places in the list
        return CategoricalDistribution(list(range(len(one))))
    if isinstance(one.low, int) and isinstance(one.high, int):
        return IntDistribution(one.low, one.high, log=one.log)
    return FloatDistribution(one.low, one.high, log=one.log)


def _value(one: Range | list[Any], found: Any) -> Any:
    return one[found] if isinstance(one, list) else found


def _objectives(search: Search, figures: Mapping[str, Any]) -> list[float]:
    missing = [name for name in search.objectives if figures.get(name) is None]
    if missing:
        raise SqhwError(
            f"search.objectives: {missing[0]} is not known of a point; take another figure"
        )
    return [float(figures[name]) for name in search.objectives]
