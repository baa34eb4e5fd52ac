"""An authorization server made with authlib, and an API that takes its tokens: client credentials,
authorization code with PKCE and OpenID Connect, refresh tokens that are replaced with each use, and
revocation."""

import os
import threading
import time

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin, ClientMixin, TokenMixin
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import UserInfo
from authlib.oidc.core.grants import OpenIDCode
from flask import Flask, jsonify, request
from joserfc.jwk import OctKey
from werkzeug.serving import make_server

KEY = OctKey.import_key("a key that signs ID tokens, of some length")


class Client(ClientMixin):
    def __init__(self, client_id, secret, kinds, redirects=()):
        self.client_id, self.secret, self.kinds, self.redirects = client_id, secret, kinds, list(redirects)

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return self.redirects[0] if self.redirects else None

    def get_allowed_scope(self, scope):
        return scope or ""

    def check_redirect_uri(self, redirect_uri):
        return redirect_uri in self.redirects

    def check_client_secret(self, secret):
        return secret == self.secret

    def check_endpoint_auth_method(self, method, endpoint):
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in self.kinds


class Code(AuthorizationCodeMixin):
    def __init__(self, **fields):
        self.__dict__.update(fields)

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope

    def get_nonce(self):
        return self.nonce

    def get_auth_time(self):
        return self.auth_time

    def get_acr(self):
        return None

    def get_amr(self):
        return None


class Token(TokenMixin):
    def __init__(self, client, user, fields):
        self.client, self.user, self.fields, self.issued, self.revoked = client, user, fields, time.time(), False

    def check_client(self, client):
        return client is self.client

    def get_scope(self):
        return self.fields.get("scope", "")

    def get_expires_in(self):
        return self.fields["expires_in"]

    def is_expired(self):
        return self.issued + self.fields["expires_in"] < time.time()

    def is_revoked(self):
        return self.revoked

    def get_user(self):
        return self.user

    def get_client(self):
        return self.client


class Authority:
    """Runs in threads of this process."""

    def __init__(self, life=3600):
        self.clients, self.codes, self.tokens, self.requests, self.revocations = {}, {}, [], [], []
        self.life, self.issuer_lie = life, None
        app = Flask("authority")
        self.http = make_server("127.0.0.1", 0, app, threaded=True)
        self.origin = f"http://127.0.0.1:{self.http.server_port}"
        self._routes(app)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def _server(self, app):
        authority = self

        def save(fields, asked):
            authority.tokens.append(Token(asked.client, asked.user, fields))

        app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {
            kind: self.life for kind in ("client_credentials", "authorization_code", "refresh_token")
        }
        app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
        server = AuthorizationServer(app, query_client=self.clients.get, save_token=save)

        class ByCode(grants.AuthorizationCodeGrant):
            def save_authorization_code(self, code, asked):
                payload = asked.payload
                authority.codes[code] = Code(
                    code=code, client=asked.client, redirect_uri=payload.redirect_uri, scope=payload.scope,
                    user=asked.user, nonce=payload.data.get("nonce"), auth_time=int(time.time()),
                    code_challenge=payload.data.get("code_challenge"),
                    code_challenge_method=payload.data.get("code_challenge_method"),
                )

            def query_authorization_code(self, code, client):
                found = authority.codes.get(code)
                return found if found and found.client is client else None

            def delete_authorization_code(self, found):
                del authority.codes[found.code]

            def authenticate_user(self, found):
                return found.user

        class ByRefresh(grants.RefreshTokenGrant):
            INCLUDE_NEW_REFRESH_TOKEN = True

            def authenticate_refresh_token(self, text):
                for token in authority.tokens:
                    if token.fields.get("refresh_token") == text and not token.revoked:
                        return token

            def authenticate_user(self, token):
                return token.user

            def revoke_old_credential(self, token):
                token.revoked = True

        class Connect(OpenIDCode):
            def exists_nonce(self, nonce, asked):
                return False

            def get_jwt_config(self, grant, client=None):
                return {"key": KEY, "alg": "HS256", "iss": authority.origin, "exp": 3600}

            def generate_user_info(self, user, scope):
                return UserInfo(sub=user)

        class Revoke(RevocationEndpoint):
            CLIENT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

            def query_token(self, text, hint):
                for token in authority.tokens:
                    if text in (token.fields.get("access_token"), token.fields.get("refresh_token")):
                        return token

            def revoke_token(self, token, asked):
                authority.revocations.append(token)
                token.revoked = True

        server.register_grant(grants.ClientCredentialsGrant)
        server.register_grant(ByCode, [CodeChallenge(required=True), Connect(require_nonce=True)])
        server.register_grant(ByRefresh)
        server.register_endpoint(Revoke)
        for kind in (ByCode, ByRefresh, grants.ClientCredentialsGrant):
            kind.TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]
        return server

    def _routes(self, app):
        server = self._server(app)

        @app.get("/.well-known/openid-configuration")
        def described():
            at = self.origin
            return jsonify(
                issuer=self.issuer_lie or at, authorization_endpoint=f"{at}/authorize", token_endpoint=f"{at}/token",
                revocation_endpoint=f"{at}/revoke", scopes_supported=["openid", "read"],
            )

        @app.get("/authorize")
        def authorize():
            grant = server.get_consent_grant(end_user="ada")
            return server.create_authorization_response(grant=grant, grant_user="ada")

        @app.post("/token")
        def token():
            self.requests.append(request.form.to_dict())
            return server.create_token_response()

        @app.post("/revoke")
        def revoke():
            return server.create_endpoint_response("revocation")

        @app.get("/echo")
        def echo():
            bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
            for token in self.tokens:
                if token.fields["access_token"] == bearer and not token.revoked and not token.is_expired():
                    return jsonify(you_sent=bearer, scope=token.get_scope(), user=token.user)
            return jsonify(error="invalid_token", you_sent=bearer), 401

    def asked(self, kind):
        return [form for form in self.requests if form["grant_type"] == kind]
