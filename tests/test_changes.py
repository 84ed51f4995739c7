"""What an operation changes, and the app behind it (SPEC 3.1, 3.2, 3.4, 3.8)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enclave.app import AppSecrets, AppState, Service
from enclave.changes import (
    Changes,
    changed_secrets,
    changed_state,
    projected_state,
    read_changes,
)
from enclave.codec import decode, encode
from enclave.credentials import RegistryCredentials
from enclave.errors import InvalidChange, InvalidImageReference, InvalidRegistryCredentials
from enclave.operation import OperationRequest, OperationType, Source
from enclave.pushed_config import PushedConfig

A, B = PushedConfig("a" * 40, "web: a"), PushedConfig("b" * 40, "web: b")
HUB = RegistryCredentials("docker.io", "me", "hunter2")
OTHER = RegistryCredentials("example.com", "me", "hunter2")


def read(**given_: Any) -> Changes:
    nothing = dict.fromkeys(("image", "username", "password", "container_count", "stored_image"))
    return read_changes(**{**nothing, "environment": {}, **given_})


def request(source: Source = Source.KEEP, pushed: PushedConfig | None = None) -> OperationRequest:
    return OperationRequest(1, OperationType.DEPLOY, 1, "me@example.com", source, pushed)


class TestReading:
    def test_nothing_given_nothing_changes(self) -> None:
        assert read() == Changes()

    @pytest.mark.parametrize(
        ("image", "stored"),
        [
            ("nginx", "nginx:latest"),
            ("docker.io/library/nginx:1", "nginx:1"),
            ("example.com:5000/a/b:1", "example.com:5000/a/b:1"),
            ("", ""),
            (None, None),
        ],
    )
    def test_an_image_is_kept_in_its_familiar_form(
        self, image: str | None, stored: str | None
    ) -> None:
        assert read(image=image).image == stored

    @pytest.mark.parametrize("image", [" ", "a b", "nginx:", "UPPER", "https://example.com/a"])
    def test_what_is_no_image_is_refused(self, image: str) -> None:
        with pytest.raises(InvalidImageReference):
            read(image=image)

    @pytest.mark.parametrize(
        ("image", "stored_image", "domain"),
        [
            ("nginx", None, "docker.io"),
            ("example.com/a", None, "example.com"),
            ("example.com/a", "nginx:latest", "example.com"),
            (None, "example.com:5000/a:1", "example.com:5000"),
            (None, "nginx:latest", "docker.io"),
        ],
    )
    def test_credentials_belong_to_the_registry_of_the_image_they_came_with(
        self, image: str | None, stored_image: str | None, domain: str
    ) -> None:
        changes = read(image=image, username="me", password="p", stored_image=stored_image)
        assert changes.credentials == RegistryCredentials(domain, "me", "p")
        assert not changes.forget_credentials

    @pytest.mark.parametrize(("image", "stored_image"), [(None, None), ("", None)])
    def test_credentials_without_any_image_are_refused(
        self, image: str | None, stored_image: str | None
    ) -> None:
        with pytest.raises(InvalidRegistryCredentials, match="give --docker-image"):
            read(image=image, username="me", password="p", stored_image=stored_image)

    @pytest.mark.parametrize(
        ("username", "password", "missing"),
        [
            ("me", None, "password"),
            ("me", "", "password"),
            (None, "hunter2", "user name"),
            ("", "hunter2", "user name"),
            ("", None, "user name"),
            (None, "", "user name"),
        ],
    )
    def test_half_a_pair_is_refused_without_being_shown(
        self, username: str | None, password: str | None, missing: str
    ) -> None:
        with pytest.raises(InvalidRegistryCredentials, match=f"{missing} is missing") as refused:
            read(image="nginx", username=username, password=password)
        assert "hunter2" not in str(refused.value)

    def test_two_empty_ones_remove_the_pair(self) -> None:
        changes = read(username="", password="")
        assert (changes.credentials, changes.forget_credentials) == (None, True)
        assert not read().forget_credentials

    @pytest.mark.parametrize("name", ["A", "_", "a1", "LONG_NAME_2"])
    def test_names_of_variables(self, name: str) -> None:
        assert read(environment={name: "x\ny"}).environment == {name: "x\ny"}

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            *((name, "b4d") for name in ("", "1A", "A-B", "A B", "A=B", "É", "A\n")),
            ("A", "b4d\0"),
        ],
    )
    def test_what_no_environment_can_hold_is_refused(self, name: str, value: str) -> None:
        with pytest.raises(InvalidChange) as refused:
            read(environment={name: value})
        assert "b4d" not in str(refused.value)

    @pytest.mark.parametrize("count", [0, 1, 1000])
    def test_container_counts(self, count: int) -> None:
        assert read(container_count=count).container_count == count

    @pytest.mark.parametrize("count", [-1, 1001, 10**30])
    def test_other_container_counts_are_refused(self, count: int) -> None:
        with pytest.raises(InvalidChange, match="from 0 to 1000"):
            read(container_count=count)

    def test_nothing_secret_shows(self) -> None:
        changes = read(image="nginx", username="me", password="hunter2", environment={"A": "b4d"})
        assert "hunter2" not in repr(changes)
        assert "b4d" not in repr(changes)

    @given(
        st.dictionaries(
            st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True),
            st.text(st.characters(codec="utf-8")),
            max_size=3,
        )
    )
    def test_what_was_taken_can_be_stored(self, environment: dict[str, str]) -> None:
        try:
            changes = read(environment=environment)
        except InvalidChange:
            assert any("\0" in value for value in environment.values())
            return
        assert decode(Changes, encode(changes)) == changes


class TestState:
    @pytest.mark.parametrize(
        ("image", "stored"), [(None, "nginx"), ("", None), ("redis:7", "redis:7")]
    )
    def test_the_image(self, image: str | None, stored: str | None) -> None:
        assert changed_state(AppState("nginx"), request(), Changes(image=image)).image == stored

    @pytest.mark.parametrize("state", [AppState(), AppState("x", A), AppState("x", detached=True)])
    @pytest.mark.parametrize(
        ("wanted", "pushed", "detached"),
        [
            (request(Source.COMMIT, B), B, False),
            (request(Source.DETACH), None, True),
            (request(), "kept", "kept"),
        ],
    )
    def test_commit_detach_keep(
        self, state: AppState, wanted: OperationRequest, pushed: object, detached: object
    ) -> None:
        after = changed_state(state, wanted, Changes())
        assert after.pushed == (state.pushed if pushed == "kept" else pushed)
        assert after.detached == (state.detached if detached == "kept" else detached)

    def test_services_and_release_are_for_the_end_of_the_operation_to_write(self) -> None:
        state = AppState("x", A, services=(Service("web", "a", 2),), release=4)
        after = changed_state(state, request(Source.COMMIT, B), Changes(image="y"))
        assert (after.services, after.release) == (state.services, 4)

    def test_what_waits_is_counted_in_its_order(self) -> None:
        waiting = [
            (request(Source.COMMIT, B), Changes()),
            (request(), Changes(image="redis:7")),
            (request(Source.DETACH), Changes(image="")),
            (request(), Changes(image="nginx")),
        ]
        assert projected_state(AppState(None, A), []) == AppState(None, A)
        assert projected_state(AppState(None, A), waiting[:2]) == AppState("redis:7", B)
        assert projected_state(AppState(None, A), waiting) == AppState("nginx", detached=True)


class TestSecrets:
    @pytest.mark.parametrize(
        ("before", "change", "after"),
        [
            ({}, {"A": "1"}, {"A": "1"}),
            ({"A": "1"}, {}, {"A": "1"}),
            ({"A": "1", "B": "2"}, {"A": "3"}, {"A": "3", "B": "2"}),
            ({"A": "1", "B": "2"}, {"A": ""}, {"B": "2"}),
            ({}, {"A": ""}, {}),
        ],
    )
    def test_variables_are_set_and_unset(
        self, before: dict[str, str], change: dict[str, str], after: dict[str, str]
    ) -> None:
        given_ = AppSecrets(dict(before), HUB)
        assert changed_secrets(given_, Changes(environment=change)) == AppSecrets(after, HUB)
        assert given_.configuration == before

    @pytest.mark.parametrize(
        ("before", "changes", "after"),
        [
            (None, Changes(), None),
            (HUB, Changes(), HUB),
            (None, Changes(credentials=HUB), HUB),
            (HUB, Changes(credentials=OTHER), OTHER),
            (HUB, Changes(forget_credentials=True), None),
            (HUB, Changes(image="example.com/a"), HUB),
        ],
    )
    def test_credentials_are_kept_replaced_or_removed(
        self,
        before: RegistryCredentials | None,
        changes: Changes,
        after: RegistryCredentials | None,
    ) -> None:
        assert changed_secrets(AppSecrets({}, before), changes).credentials == after
