"""Creatures: what is promised of pictures, poses and their difficulty."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors

from gplvm.datasets import make_creatures
from gplvm.datasets._body_parts import POSE_RANGES
from gplvm.datasets._body_plans import BODY_PLANS
from gplvm.datasets._creatures import _draw, _random_poses

N_SPECIES = 7
NAMES = list(POSE_RANGES)


def random_scene(n_samples, seed=0):
    """Labels and poses without pictures."""
    rng = np.random.RandomState(seed)
    return np.arange(n_samples) % N_SPECIES, _random_poses(n_samples, rng)


@pytest.fixture(scope="module")
def creatures():
    return make_creatures(2000, random_state=0)


def test_shapes_types_and_ranges(creatures):
    assert creatures.images.shape == (2000, 32, 32)
    assert creatures.images.dtype == np.float64
    assert creatures.images.min() >= 0 and creatures.images.max() <= 1
    assert creatures.data.shape == (2000, 1024)
    assert np.shares_memory(creatures.data, creatures.images)
    assert creatures.target.shape == (2000,)
    assert creatures.target_names.shape == (N_SPECIES,)
    assert len(set(creatures.target_names)) == N_SPECIES
    assert creatures.pose.shape == (2000, len(creatures.pose_names))
    assert "{" not in creatures.DESCR and "@" not in creatures.DESCR


def test_species_are_balanced_and_shuffled(creatures):
    counts = np.bincount(creatures.target, minlength=N_SPECIES)
    assert counts.max() - counts.min() <= 1
    # Sorted labels would change 6 times, alternating ones every time.
    changes = np.mean(np.diff(creatures.target) != 0)
    assert 0.7 < changes < 0.98


@pytest.mark.parametrize("n_samples", [1, 3, 7, 8])
def test_few_samples(n_samples):
    creatures = make_creatures(n_samples, image_size=8, random_state=0)
    assert creatures.images.shape == (n_samples, 8, 8)
    assert len(creatures.target_names) == N_SPECIES
    counts = np.bincount(creatures.target, minlength=N_SPECIES)
    assert counts.max() - counts.min() <= 1


def test_equal_seeds_give_equal_pictures():
    first, second = (make_creatures(20, random_state=3) for _ in range(2))
    other = make_creatures(20, random_state=4)
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(first.target, second.target)
    np.testing.assert_array_equal(first.pose, second.pose)
    assert np.abs(first.images - other.images).max() > 0.1


def test_random_state_instance_moves_on():
    rng = np.random.RandomState(0)
    first, second = (make_creatures(7, random_state=rng) for _ in range(2))
    assert not np.array_equal(first.pose, second.pose)


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make_creatures(7, random_state=0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_return_X_y(creatures):
    X, y = make_creatures(2000, return_X_y=True, random_state=0)
    np.testing.assert_array_equal(X, creatures.data)
    np.testing.assert_array_equal(y, creatures.target)


def test_poses_lie_in_their_ranges(creatures):
    assert creatures.pose_names == NAMES
    low, high = np.array(list(POSE_RANGES.values())).T
    assert (creatures.pose >= low).all() and (creatures.pose <= high).all()
    # Uniform draws come close to both ends.
    reach = (creatures.pose.max(axis=0) - creatures.pose.min(axis=0)) / (high - low)
    assert reach.min() > 0.98
    assert set(creatures.pose[:, NAMES.index("heading")]) == {-1.0, 1.0}


def test_poses_say_nothing_of_the_species(creatures):
    correlation = [
        np.corrcoef(creatures.target == k, factor)[0, 1]
        for k in range(N_SPECIES)
        for factor in creatures.pose.T
    ]
    assert np.abs(correlation).max() < 0.1  # 2000 draws: a standard error of 0.022


def test_other_sizes_show_the_same_animals():
    coarse = make_creatures(28, image_size=32, noise=0, random_state=5)
    fine = make_creatures(28, image_size=64, noise=0, random_state=5)
    np.testing.assert_array_equal(coarse.pose, fine.pose)
    np.testing.assert_array_equal(coarse.target, fine.target)
    shrunk = fine.images.reshape(28, 32, 2, 32, 2).mean(axis=(2, 4))
    assert np.abs(shrunk - coarse.images).mean() < 0.02
    for small, big in zip(coarse.images, shrunk, strict=True):
        assert np.corrcoef(small.ravel(), big.ravel())[0, 1] > 0.96


def test_noise_is_added_last_and_has_its_size():
    clean = make_creatures(14, noise=0, random_state=1)
    noisy = make_creatures(14, noise=0.02, random_state=1)
    np.testing.assert_array_equal(clean.pose, noisy.pose)
    inside = (clean.images > 0.1) & (clean.images < 0.9)
    assert np.std((noisy.images - clean.images)[inside]) == pytest.approx(0.02, rel=0.1)


def test_a_picture_depends_on_its_own_pose_only():
    target, pose = random_scene(70)
    together = _draw(target, pose, 24)
    some = np.array([3, 10, 11, 40, 69])
    np.testing.assert_allclose(
        _draw(target[some], pose[some], 24), together[some], atol=1e-5
    )


def test_heading_mirrors_the_animal():
    target, pose = random_scene(28)
    pose[:, NAMES.index("x")] = 0
    pose[:, NAMES.index("light")] = 0  # overhead, and no side of the sky is brighter
    pose[:, NAMES.index("hill_height")] = 0  # the landscape as good as symmetric
    for name in ("rock", "bush_1", "bush_2", "bush_3"):
        pose[:, NAMES.index(f"{name}_x")] = -5  # out of sight
    pose[:, NAMES.index("heading")] = 1
    right = _draw(target, pose, 32)
    pose[:, NAMES.index("heading")] = -1
    left = _draw(target, pose, 32)
    np.testing.assert_allclose(left[:, :, ::-1], right, atol=1e-5)
    assert np.abs(left - right).max(axis=(1, 2)).min() > 0.1


@pytest.mark.parametrize(("axis", "name"), [(2, "x"), (1, "y")])
def test_shift_moves_the_animal(axis, name):
    target, pose = random_scene(N_SPECIES)
    pose[:, NAMES.index("x")] = pose[:, NAMES.index("y")] = 0
    pose[:, NAMES.index("scale")] = 0.7
    for other in ("light", "hill_height"):
        pose[:, NAMES.index(other)] = 0
    pose[:, NAMES.index("horizon")] = 3  # nothing but sky
    for other in ("rock", "bush_1", "bush_2", "bush_3"):
        pose[:, NAMES.index(f"{other}_x")] = -5
    here = _draw(target, pose, 32)
    pose[:, NAMES.index(name)] = 2 / 32
    there = _draw(target, pose, 32)
    # Two pixels exactly, but for the sky's own gradient.
    np.testing.assert_allclose(np.roll(here, 2, axis=axis), there, atol=0.35)
    difference = np.abs(np.roll(here, 2, axis=axis) - there)
    assert difference.mean() < 0.1 * np.abs(here - there).max()


# Heading is left or right, nothing between.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "heading"])
def test_pictures_vary_smoothly_with_every_factor(name):
    target, pose = random_scene(14, seed=2)
    column = NAMES.index(name)
    low, high = POSE_RANGES[name]
    pose[:, column] = 0.5 * (low + high)
    base = _draw(target, pose, 24)
    changes = []
    for step in (0.001, 0.01, 0.25):
        moved = pose.copy()
        moved[:, column] += step * (high - low)
        changes.append(np.abs(_draw(target, moved, 24) - base).mean())
    # Every factor shows; a tenth of a small step changes about a tenth as much.
    assert changes[2] > 1e-5
    assert changes[0] < 0.25 * changes[1] + 1e-7
    assert changes[1] < changes[2]


def test_gait_is_a_circle():
    target, pose = random_scene(14)
    pose[:, NAMES.index("gait")] = 0.0
    start = _draw(target, pose, 24)
    pose[:, NAMES.index("gait")] = 1.0
    np.testing.assert_allclose(_draw(target, pose, 24), start, atol=1e-5)


def test_body_plans_have_the_species_limbs():
    legs = {plan.name: 2 * len(plan.legs) for plan in BODY_PLANS}
    wings = {plan.name: 2 * len(plan.wings) for plan in BODY_PLANS}
    assert sorted(legs.values()) == [0, 0, 6, 6, 6, 6, 6]
    assert wings["mountain banshee"] == 4
    assert wings["great leonopteryx"] == 2


def test_animals_stand_out_from_the_landscape():
    target, pose = random_scene(70)
    animals = _draw(target, pose, 32)
    pose[:, NAMES.index("x")] = 5  # out of sight
    empty = _draw(target, pose, 32)
    seen = np.abs(animals - empty) > 0.12
    share = seen.mean(axis=(1, 2))
    assert share.min() > 0.01 and share.max() < 0.5


def test_difficulty(creatures):
    X, y = creatures.data, creatures.target
    split = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y)
    X_train, X_test, y_train, y_test = split
    linear = LogisticRegression(max_iter=1000).fit(X_train, y_train)
    assert 0.7 < linear.score(X_test, y_test) < 0.9

    plane = PCA(2, random_state=0).fit_transform(X)
    # Without an argument the neighbours of a training point leave it out.
    nearest = NearestNeighbors(n_neighbors=1).fit(plane).kneighbors()[1][:, 0]
    assert np.mean(y[nearest] != y) > 0.4


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples == 0, must be >= 1"),
        ({"n_samples": 10.0}, TypeError, "n_samples must be an instance of int"),
        ({"image_size": 4}, ValueError, "image_size == 4, must be >= 8"),
        ({"image_size": 1000}, ValueError, "image_size == 1000, must be <= 512"),
        ({"image_size": (32, 32)}, TypeError, "image_size must be an instance of int"),
        ({"noise": -0.1}, ValueError, "noise == -0.1, must be >= 0"),
        ({"noise": np.nan}, ValueError, r"noise must be a number .* got nan"),
        ({"noise": "much"}, TypeError, "noise must be an instance of float"),
        ({"return_X_y": "yes"}, TypeError, "return_X_y must be True or False"),
        ({"random_state": "lucky"}, ValueError, "cannot be used to seed"),
    ],
)
def test_wrong_parameters_are_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        make_creatures(**{"n_samples": 7, **parameters})
