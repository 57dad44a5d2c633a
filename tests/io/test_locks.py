import os

from highwater.io.locks import give_back, is_held, lock_of, remove_dead, take


def test_one_process_holds_a_lock_until_it_gives_it_back(tmp_path):
    place = tmp_path / "work"
    lock = take(place)

    assert lock is not None
    assert (True, None) == (is_held(place), take(place))
    give_back(place, lock)
    assert (False, False) == (is_held(place), lock_of(place).exists())


def test_a_dead_process_holds_none(tmp_path):
    place, pid = tmp_path / "work", os.fork()
    if pid == 0:
        take(place)
        os._exit(0)
    os.waitpid(pid, 0)

    assert lock_of(place).exists()
    assert not is_held(place)
    assert take(place) is not None


def test_a_lock_whose_file_was_removed_guards_nothing(tmp_path):
    place = tmp_path / "work"
    first = take(place)
    lock_of(place).unlink()

    assert not is_held(place)
    assert take(place) not in (None, first)


def test_only_what_nobody_holds_is_removed(tmp_path):
    place = tmp_path / "work"
    (place / "inner").mkdir(parents=True)
    lock = take(place)

    assert (False, True) == (remove_dead(place), place.exists())
    give_back(place, lock)
    assert (True, False, False) == (remove_dead(place), place.exists(), lock_of(place).exists())


def test_asking_makes_no_lock(tmp_path):
    assert not is_held(tmp_path / "work")
    assert [] == list(tmp_path.iterdir())
