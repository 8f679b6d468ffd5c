"""Google's gRPC services on a loopback port, answered by the simulated REST wire.

The official client speaks gRPC only, so it cannot talk to a REST simulator. This bridge turns
its calls into requests of the REST wire, over real HTTP, and the answers into Google's own
messages with Google's own JSON parser, which refuses fields and enum names that do not exist.
It knows nothing of adapters and tables: it only carries.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, NoReturn, Self

import grpc
import requests
from google.ads.googleads.client import GoogleAdsClient
from google.ads.googleads.interceptors import Interceptor
from google.ads.googleads.v26.errors.types.errors import GoogleAdsFailure
from google.ads.googleads.v26.services.services.customer_service import transports as customers
from google.ads.googleads.v26.services.services.google_ads_service import transports as searches
from google.ads.googleads.v26.services.types import customer_service, google_ads_service
from google.auth.transport.requests import Request as RefreshRequest
from google.oauth2.credentials import Credentials
from google.protobuf import json_format

VERSION = "v26"
_PACKAGE = f"google.ads.googleads.{VERSION}"
#: What the REST wire needs of the call's metadata.
_HEADERS = ("authorization", "developer-token", "login-customer-id")
_SECONDS_MAX = 30.0


class Bridge:
    """The services of one simulator, and official clients that reach them."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._server = grpc.server(ThreadPoolExecutor(max_workers=2))
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    f"{_PACKAGE}.services.GoogleAdsService",
                    {
                        "Search": grpc.unary_unary_rpc_method_handler(
                            self._search,
                            google_ads_service.SearchGoogleAdsRequest.deserialize,
                            google_ads_service.SearchGoogleAdsResponse.serialize,
                        ),
                        "SearchStream": grpc.unary_stream_rpc_method_handler(
                            self._search_stream,
                            google_ads_service.SearchGoogleAdsStreamRequest.deserialize,
                            google_ads_service.SearchGoogleAdsStreamResponse.serialize,
                        ),
                    },
                ),
                grpc.method_handlers_generic_handler(
                    f"{_PACKAGE}.services.CustomerService",
                    {
                        "ListAccessibleCustomers": grpc.unary_unary_rpc_method_handler(
                            self._list_accessible_customers,
                            customer_service.ListAccessibleCustomersRequest.deserialize,
                            customer_service.ListAccessibleCustomersResponse.serialize,
                        )
                    },
                ),
            )
        )
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop(grace=None).wait(_SECONDS_MAX)

    # The services

    def _search(self, request: Any, context: grpc.ServicerContext) -> Any:
        body = _body(request, {"query", "page_token", "search_settings"})
        path = f"customers/{request.customer_id}/googleAds:search"
        return _message(
            self._ask(context, "POST", path, body), google_ads_service.SearchGoogleAdsResponse
        )

    def _search_stream(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        path = f"customers/{request.customer_id}/googleAds:searchStream"
        for chunk in self._ask(context, "POST", path, _body(request, {"query"})):
            if "error" in chunk:
                _refuse(context, chunk["error"])
            yield _message(chunk, google_ads_service.SearchGoogleAdsStreamResponse)

    def _list_accessible_customers(self, request: Any, context: grpc.ServicerContext) -> Any:
        found = self._ask(context, "GET", "customers:listAccessibleCustomers", None)
        return _message(found, customer_service.ListAccessibleCustomersResponse)

    def _ask(
        self, context: grpc.ServicerContext, method: str, path: str, body: dict[str, Any] | None
    ) -> Any:
        """The wire's answer; a refusal becomes the call's."""
        given = dict(context.invocation_metadata())
        answer = requests.request(
            method,
            f"{self._base_url}/{VERSION}/{path}",
            json=body,
            headers={name: given[name] for name in _HEADERS if name in given},
            timeout=_SECONDS_MAX,
        )
        payload = answer.json()
        if answer.status_code != 200:
            _refuse(context, (payload[0] if isinstance(payload, list) else payload)["error"])
        return payload

    # Clients

    def client(self, credentials: Credentials, **options: Any) -> GoogleAdsClient:
        """The official client, at this bridge; everything above its channel is Google's."""
        return GoogleAdsClient(
            credentials=credentials, endpoint=f"127.0.0.1:{self.port}", version=VERSION, **options
        )


def allow_plain_channels(monkeypatch: Any) -> None:
    """Let the client's transports open channels without TLS, which the library never does.

    The access token travels with the call instead of with the channel, whose security would
    otherwise be wanted; google-auth gets it as it always does.
    """
    for transport in (
        searches.GoogleAdsServiceGrpcTransport,
        customers.CustomerServiceGrpcTransport,
    ):
        monkeypatch.setattr(transport, "create_channel", _plain_channel)


def _plain_channel(
    host: str, credentials: Credentials, options: Any = None, **_: Any
) -> grpc.Channel:
    return grpc.intercept_channel(
        grpc.insecure_channel(host, options=options), _Authorization(credentials)
    )


class _Authorization(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc]
    """Puts google-auth's access token beside a call."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with_token(details), request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._with_token(details), request)

    def _with_token(self, details: Any) -> Any:
        headers: dict[str, str] = {}
        self._credentials.before_request(RefreshRequest(), "POST", "", headers)
        found = [(name.lower(), value) for name, value in headers.items()]
        return Interceptor.get_client_call_details_instance(
            details.method,
            details.timeout,
            [*(details.metadata or ()), *found],
            details.credentials,
            getattr(details, "wait_for_ready", None),
        )


def _body(request: Any, names: set[str]) -> dict[str, Any]:
    """The request in JSON, without its customer; a field that the wire is not asked is refused."""
    message = type(request).pb(request)
    asked = {field.name for field, _ in message.ListFields()} - {"customer_id"}
    assert asked <= names, asked
    body: dict[str, Any] = json_format.MessageToDict(message)
    body.pop("customerId", None)
    return body


def _message(payload: Any, kind: Any) -> Any:
    return kind.wrap(json_format.ParseDict(payload, kind.pb()()))


def _refuse(context: grpc.ServicerContext, error: dict[str, Any]) -> NoReturn:
    """End the call as Google does: its failure travels in the trailing metadata."""
    (failure,) = error["details"]
    assert failure.pop("@type").endswith(f"{_PACKAGE}.errors.GoogleAdsFailure")
    message = json_format.ParseDict(failure, GoogleAdsFailure.pb()())
    context.set_trailing_metadata(
        (
            (f"{_PACKAGE}.errors.googleadsfailure-bin", message.SerializeToString()),
            ("request-id", failure["requestId"]),
        )
    )
    context.abort(grpc.StatusCode[error["status"]], error["message"])
    raise AssertionError("abort raises")
