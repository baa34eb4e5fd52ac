# Every text of the pages in English. A message is trusted HTML and may hold <code>, <b>, <em>, <kbd> and
# links; arguments are escaped. Keys are page-what; those of zh-CN.ftl are the same.

count-tools = { $count ->
    [one] { $count } tool
   *[other] { $count } tools
}

count-servers = { $count ->
    [one] { $count } server
   *[other] { $count } servers
}

## Around every page

frame-skip = Skip to the content
frame-main = Main
frame-servers = Servers
frame-publish = Publish
frame-keys = Keys
frame-usage = Usage
frame-docs = Docs
frame-health = Health
frame-audit = Audit
frame-sign-in = Sign in
frame-sign-out = Sign out
frame-language = Language
frame-about = Causeway serves OpenAPI documents as MCP servers.
frame-api = Management API
frame-copy = Copy
frame-copied = Copied
frame-menu = Menu
frame-exposed = This site is not reached over HTTPS: what you enter here, passwords and keys too, can be read on the network. <a href="{ $docs }">What to do about it</a>
frame-exposed-read = Dismiss

## The start page

home-title = APIs your agents can call
home-words = Each server below is an API, described by its OpenAPI document and served over the Model Context Protocol. Open one to connect your agent to it.
home-models = Models, with OpenAI's API, at
home-models-demo = with a <a href="{ $keys }">key</a>. The model <code>demo</code> is there at once: it repeats what it was told.
home-models-key = with a <a href="{ $keys }">key</a>.
home-search = Search servers
home-search-hint = Search servers and their tools
home-category = Category
home-tag = Tag
home-any = Any
home-sort = Sort by
home-sort-relevance = Relevance
home-sort-name = Name
home-sort-newest = Newest
home-sort-used = Most used
home-no-calls = No calls yet
home-calls = { $count ->
    [one] { $count } call in 7 days
   *[other] { $count } calls in 7 days
}
home-calls-well = { $count } went well
home-matching-tools = Matching tools
home-nothing-there = Nothing here
home-none = No servers yet
home-none-words = A server is made from an OpenAPI document: a file, a pasted text, or the address of an API's documentation.
home-publish-first = Publish the first one
home-sign-in-first = Sign in to publish the first one
home-nothing-matches = Nothing matches “{ $query }”
home-try-other = Try fewer or other words, or <a href="{ $all }">see every server</a>.
home-no-description = No description in the document
home-more = More servers
search-do = Search
badge-open = open
badge-needs-key = needs a key
badge-private = private
badge-disabled = disabled
badge-unpublished = unpublished
badge-read-only = read-only
badge-destroys = may destroy
badge-writes = writes
badge-repeatable = repeatable
tokens-of-list = Estimated tokens of the list of tools, which a model reads before its first call
tokens-of-tool = Estimated tokens of its entry in the list of tools
count-tokens = about { $count } tokens

## What was done just now

done-published = Published. The tools can be called now.
done-saved = Saved. The settings are live.
done-renamed = Renamed. The old address goes on working.
done-imported = Imported. The new version is live.
done-unchanged = This is the document that is served already; nothing was changed.
done-credential-set = The credential is stored and used from now on.
done-credential-removed = The credential is removed.
done-credential-approved = The destination is approved; the credential is sent there now.
done-connected = Connected. Calls use this connection from now on.
done-disconnected = The connection is ended.
done-revoked = Revoked. The key opens nothing any more.
done-promoted = This version is served now.
done-canary-started = The version is tried on some consumers now.
done-rollout-ended = Done. The served version stays as it is.
done-issuer-kept = Saved. Its tokens are judged by this from now on.
done-issuer-removed = Removed. Its tokens are refused from now on.
done-deleted = The server is deleted, and its credentials are destroyed. It can be restored for 30 days.
done-restored = The server is restored. Its credentials have to be entered again.
done-transferred = The server belongs to somebody else now.
done-served = The server is served.
done-disabled = The server is disabled: every call is answered with that.
done-unpublished = The server is unpublished: it left the catalog, and every call is answered with that.

## What went wrong

failure-see-all = See all servers
failure-no-page = There is no such page. The address may be mistyped, or the page was moved.
failure-400 = Bad Request
failure-401 = Unauthorized
failure-403 = Forbidden
failure-404 = Not Found
failure-405 = Method Not Allowed
failure-409 = Conflict
failure-412 = Precondition Failed
failure-413 = Payload Too Large
failure-422 = Unprocessable Entity
failure-429 = Too Many Requests
failure-500 = Internal Server Error
failure-502 = Bad Gateway
failure-503 = Service Unavailable
failure-504 = Gateway Timeout
failure-no-server = There is no server of that name, or you have to sign in to see it.
failure-deleted-server = There is no server of that name for you. If it was deleted in the last 30 days, it can be restored: see the <a href="{ $deleted }">deleted servers</a>.
failure-not-your-server = There is no server of that name, or it is not for you to see.
failure-other-session = The form is from another session; go back, reload the page and try again.
failure-unread = The form was not read: { $reason }.


## The documentation

docs-title = Documentation
docs-words = It comes with this server, and needs no other site.
docs-search = Search the headings
docs-no-guide = There is no such guide.

## Keys

keys-words = An agent sends its key as <code>Authorization: Bearer …</code> or <code>X-API-Key</code>. Give each agent its own, so that one can be revoked without the others.
keys-made-for = Key for { $name }
keys-copy-now = Copy it now. It is stored only as a hash and cannot be shown again.
keys-first = Try it: the model <code>demo</code> repeats what it was told.
keys-first-with-key = With a key, models are asked like this; <code>demo</code> repeats what it was told.
keys-key = Key
keys-all = All keys
keys-none = No keys yet. Servers that need a key cannot be called until you make one.
keys-never = never used
keys-everywhere = all
keys-nowhere = none that still exists
keys-revoke = Revoke
keys-revoke-named = Revoke { $name }
keys-revoked = revoked
keys-hidden = { $count ->
    [one] { $count } more key, which the management API lists.
   *[other] { $count } more keys, which the management API lists.
}
keys-new = New key
keys-name-help = Who or what will use it, like “support agent”.
keys-servers-help = <code>SERVER</code> or <code>SERVER/TOOL</code>, one a line. Empty: every server, also later ones.
keys-none-chosen = None chosen: every server, also later ones.
keys-make = Make the key
keys-old-ends = The key it replaces ends by { $at }.
keys-made-at = made { $at }
keys-used-at = last used { $at }
keys-ends-at = ends { $at }
keys-ended-at = ended { $at }
keys-endless = does not expire
keys-good = active
keys-ending = replaced, still valid
keys-expired = expired
keys-scope = Good for
keys-more-scopes = and { $count } more
keys-replaces = It replaces <code>{ $prefix }…</code>.
keys-replaced-by = <code>{ $prefix }…</code> replaces it.
keys-rotate = Rotate
keys-rotate-named = Rotate { $name }
keys-overlap = How long the old key goes on
keys-overlap-named = How long the old key of { $name } goes on
keys-overlap-none = old key ends now
keys-overlap-1h = old key lasts 1 hour
keys-overlap-24h = old key lasts 24 hours
keys-overlap-7d = old key lasts 7 days
keys-lifetime = Expires after
keys-7d = 7 days
keys-30d = 30 days
keys-90d = 90 days
keys-365d = 365 days
keys-no-end = never
keys-models = Models
keys-models-help = Names, or patterns such as <code>openai/*</code>, one a line. Without any, all models, unless the key is for some servers only.
keys-tools = Single tools
keys-tools-help = <code>SERVER/TOOL</code>, one a line. A server that is chosen above is open whole.
issuers-title = Token issuers
issuers-words = Tokens (JWT) that these issuers sign are taken in place of keys. Each value of the consumer claim is a consumer of its own.
issuers-none = None yet: only keys are taken.
issuers-for = for { $audience }
issuers-by = callers told apart by <code>{ $claim }</code>
issuers-open-only = nothing by itself but open servers
issuers-remove = Remove
issuers-remove-named = Remove { $name }
issuers-new = Add or change an issuer
issuers-name-help = Letters, digits, hyphens. The name of one there is changes that one.
issuers-issuer = Issuer
issuers-issuer-help = The claim <code>iss</code>, exactly as it stands in tokens.
issuers-audience = Audience
issuers-audience-help = The claim <code>aud</code>; several apart by commas.
issuers-keys-url = Address of its keys (JWKS)
issuers-keys-url-help = Empty: its OpenID Connect configuration says it.
issuers-consumer-claim = Consumer claim
issuers-consumer-claim-help = What tells callers apart.
issuers-everywhere = Every server that is open to all keys
issuers-scopes = Servers and tools
issuers-scopes-help = For all of its tokens: <code>SERVER</code> or <code>SERVER/TOOL</code>, one a line.
issuers-claim = Claim that gives more
issuers-values = Values of that claim
issuers-values-help = One a line, like <code>reader = books, shop/listOrders</code>.
issuers-keep = Save the issuer

## Labels that refusals name too

label-name = Name
label-url = Address
label-document = Text
label-file = File
label-slug = Short name
label-upstream = Address of the API
label-allow-upstream = Allowed private destinations
label-timeout = Time for a call
label-tools-page = Tools in one page of the list
label-answer = Largest answer
label-tool-tokens = Tokens of a tool
label-list-tokens = Tokens of the list
label-idle = Idle time of a session
label-sessions-max = Sessions at most
label-value = Value
label-token-origins = Authorization server
label-category = Category
label-tags = Tags
label-json = Arguments as JSON
label-user = User name
label-password = Password
label-confirm = Short name, to confirm
access-legend = Who may call it
access-key = Callers with a key
access-key-help = Keys are made on the page <a href="{ $keys }">Keys</a>.
access-open = Everybody
access-open-help = Whoever reaches this address may call every tool, with the credentials stored here.
as-document = as the document says

## The document to publish

source-legend = OpenAPI document
source-help = Swagger 2.0 or OpenAPI 3.0, 3.1, 3.2, as JSON or YAML. Fill in one of the three.
source-url-help = Of the document, of the API, or of its documentation page (Swagger UI, Redoc, Scalar).
source-file = File, or a zip archive of all its files
source-file-help = At most { $size }. Files in folders go into an archive.
publish-title = Publish an API
publish-words = Every operation of the document becomes a tool. What cannot be one, and every guess, is listed in the report afterwards.
publish-more = Name, API address, private networks
publish-slug-help = For the address <code>/mcp/…</code>: a-z, 0-9 and hyphens, at most 40. Made from the title if left empty.
publish-upstream-help = Where calls go, instead of the server the document names.
publish-allow-help = One a line, address, network or host with an optional port. Private, loopback and link-local addresses are refused unless they are listed here.
publish-credentials = On the next page you look through the tools and enter credentials. Nobody else can call the server before you publish it there.
publish-taken = “Short name”: there is a server { $slug } already; choose another name, or import a new version of it in its settings.
publish-taken-name = “Short name”: the name { $slug } is taken; choose another.
upload-too-large = The document is too large; it may have { $size }.

## An import

import-title = Import
import-running = Publishing…
import-reading = Reading the document and making tools of it
import-seconds = { $count ->
    [one] { $count } second so far
   *[other] { $count } seconds so far
}
import-begun = Just begun
import-reloads = This page reloads itself. You may leave it: the work goes on.
import-live = { $title } is live
import-callable = { $count ->
    [one] { $count } tool can be called now.
   *[other] { $count } tools can be called now.
}
import-connect = Connect an agent
import-settings = Credentials and settings
import-many = { $count ->
    [one] { $count } document imported
   *[other] { $count } documents imported
}
import-failed = Not published
import-again = Try again
import-unknown = There is no such import, or it ended more than an hour ago. If it went well, its server is in the list.
report-title = Conversion report
report-clean = Nothing was lost and nothing had to be guessed.
report-lost = Operations that are no tools
report-warning = Guessed or changed, please check
report-note = Worth knowing
report-hidden = { $count ->
    [one] { $count } more finding; the API and <code>causeway check</code> list all of them.
   *[other] { $count } more findings; the API and <code>causeway check</code> list all of them.
}

## A server

server-tabs = Server
server-overview = Overview
server-health = Health
server-probe = Whether the API is well
server-probe-asked = <code>{ $operation }</code> is called every { $minutes } minutes.
server-probe-none = The API is not asked whether it is well. <a href="{ $settings }">Choose an operation</a> that is called from time to time.
server-probe-waits = No result yet.
server-probe-last = Last result
server-probe-rate = Well in 24 hours
server-probe-strip = The last { $count } results, the oldest first: { $well } went well, { $failed } failed. The table below has each.
server-probe-when = When (UTC)
server-probe-result = Result
server-probe-status = Status
server-probe-time = Time
server-probe-reason = Reason
health-well = well
health-failing = failing
health-unknown = unknown
home-health = API: { $health }
server-health-paused = { $origin } failed many times in a row. Calls are held back for { $seconds } more seconds; then one of them tries it.
server-versions = Versions
server-report = Report
server-lacking = { $count ->
    [one] { $count } tool cannot be called yet: the API wants a credential that is not set.
   *[other] { $count } tools cannot be called yet: the API wants a credential that is not set.
}
server-example = This is an example that comes with Causeway. Its API exists inside the demo only and has no address on a network, so calls of its tools fail here.
server-example-address = Set the address of an API that answers
server-connect = Connect
server-endpoint = MCP endpoint
server-put-key = Put your key where it says <code>YOUR_KEY</code>.
server-ask-key = The operator of this site gives you one.
server-tools = Tools
server-no-tools = This server has no tools: no operation of its document could become one.
server-report-why = The <a href="{ $report }">report</a> says why.
server-search = Search tools
server-search-count = { $count ->
    [one] Search { $count } tool
   *[other] Search { $count } tools
}
server-no-match = No tool matches “{ $query }”.
server-all-tools = See all tools
server-more-tools = More tools
server-see-tools = { $count ->
    [one] See { $count } tool
   *[other] See { $count } tools
}
server-list-cost = Listing them costs
server-version = Version
server-updated = Updated
server-tags = Tags
server-of-tag = Tools tagged <b>{ $tag }</b>.
server-untagged = Without a tag
snippet-open = Open it there
snippet-no-secret = The link holds no key: put yours in afterwards, or where the client asks for it.
snippet-not-yet = not yet
snippet-many = Any of 20 agents
snippet-claude-ai = Settings, Connectors, Add custom connector: paste the address. It is called from the internet.
snippet-chatgpt = Settings, Apps and Connectors, Developer mode, Create: paste the address. It is called from the internet.
snippet-oauth-only = This client signs in with OAuth and cannot send a key. Causeway does not offer OAuth to agents yet, so it works with open servers only. Use one of the other clients, or Claude Desktop.
snippet-https-only = This client calls from the internet and needs a public https address. Give this one such an address (<code>--public-url</code>) first.
connect-make = Make a key for this server
connect-key-inside = It stands in the texts below, now and never again: it is stored only as a hash. A reload shows the placeholder.
connect-tools-none = None chosen: every tool, also later ones.
connect-tools-named = One a line. Empty: every tool, also later ones.
watch-title = What arrives here
watch-waiting = Waiting for the first message of a client…
watch-connected = { $client } connected
watch-connected-unnamed = A client connected
watch-listed = { $count ->
    [one] { $count } tool listed
   *[other] { $count } tools listed
}
watch-call-fine = First call { $tool } OK
watch-call-failed = First call { $tool } failed: { $reason }
watch-call-later = A later call { $tool } OK
watch-refused = Refused with status { $status } at { $at }.
watch-401 = The key was missing, or it is not one that is valid here.
watch-404 = The key is not good for this server.
watch-429 = Too many requests came in a short time.
watch-events = The last messages
watch-fine = OK
watch-again = Check again
watch-reloads = This page reloads itself. It shows what reached this process of Causeway while somebody looked on.
versions-number = Version { $number }
versions-current = served
versions-staged = waits to be looked at
versions-canary = tried on { $percent } %
versions-compare = What changed
versions-compare-named = What changed with version { $number }
versions-promote = Serve version { $number }
versions-roll-back = Roll back to version { $number }
versions-percent = Share of consumers that get version { $number }
versions-try = Try it on some
versions-discard = Discard
versions-end-canary = End the trial
versions-compared = From version { $from } to { $to }
versions-sum = { $added } added, { $removed } removed, { $changed } changed
versions-needs-review = somebody has to look
versions-same = Nothing that an agent would notice.
versions-added = added
versions-removed = removed
versions-compatible = compatible
versions-review = to be looked at
versions-breaking = breaking
versions-hidden-rows = { $count ->
    [one] { $count } more difference, which the management API tells of.
   *[other] { $count } more differences, which the management API tells of.
}
versions-hidden = { $count ->
    [one] { $count } older version, which the management API lists.
   *[other] { $count } older versions, which the management API lists.
}
versions-acts = What was done last
versions-when = When
versions-who = Who
versions-what = What
snippet-terminal = In a terminal
snippet-other = Any other client
snippet-most = Most clients read this form

## A tool

tool-lacking = It cannot be called yet: the API wants a credential that is not set.
tool-set-it = Set it
tool-try = Try it
tool-no-arguments = It takes no arguments.
tool-required = required
tool-choose = Choose…
tool-not-set = not set
tool-json-instead = Write the arguments as JSON instead
tool-json-help = One object. If there is anything here, the fields above are not used.
tool-dry-run = Dry run
tool-call = Call
tool-call-writes = A call is real and may change data at the API.
tool-dry-run-help = A dry run shows the request and sends nothing.
tool-arguments = Arguments
tool-argument = Argument
tool-type = Type
tool-meaning = Meaning
tool-sign-in = Sign in to try it
tool-schemas = Schemas
tool-input = Input schema
tool-output = Output schema
tool-copy = Copy the call
tool-copy-curl = Over MCP with curl
tool-copy-message = As an MCP message
tool-copy-request = The API request with curl
tool-copy-request-help = Secrets are masked. Causeway adds the real ones when it sends the request.
tool-copy-dry-run = A dry run also gives the API request as curl.
tool-json-wrong = Arguments as JSON: this is not JSON ({ $reason }).
tool-json-object = Arguments as JSON: write one object, in braces.
tool-correct = Nothing was sent. Please correct: { $names }.
tool-is-required = This is required.
tool-choose-one = Choose one of the values.
tool-want-number = Write a number, like 12 or 0.5.
tool-want-json = This is not JSON ({ $reason }). A text needs double quotes.
kind-one-of = one of { $choices }
kind-list-of = list of { $items }
kind-list = list
kind-or = or
kind-any = any

## What came of a call

trace-would-fail = This call would fail
trace-would-send = This would be sent
trace-failed = The call failed
trace-succeeded = The call succeeded
trace-dry-run = dry run, nothing was sent
trace-total = { $time } in all
trace-first-byte = { $time } to the first byte
trace-not-sent = nothing was sent
trace-no-answer = no answer
trace-id = trace <code>{ $id }</code>
trace-image = The image the tool returned
trace-other = { $media }, about { $count } bytes. It cannot be shown here.
trace-hidden = { $count ->
    [one] { $count } more part, which the management API shows.
   *[other] { $count } more parts, which the management API shows.
}
trace-rest = … and { $count } more bytes, which the management API shows
trace-request = Request
trace-body-size = Body, { $count } bytes
trace-body-none = Body: { $count } bytes
trace-healed = Read as the JSON they held: { $names }
trace-whole = Result as a client gets it

## Settings: credentials

settings-title = Settings
credentials-title = Credentials
credentials-words = For the API, not for the agents. They are kept encrypted, are sent to the approved destinations only, and are never shown again.
credentials-none = The document names no security scheme, so calls are sent without a credential.
credential-unused = unused
credential-unreadable = cannot be read
credential-set = set
credential-not-set = not set
credential-gone = The document has this security scheme no more, so the stored credential is sent nowhere.
credential-remove = Remove
credential-remove-named = Remove the credential for { $scheme }
credential-other-key = It was encrypted with another master key, so calls that need it fail. Start Causeway with the master key of this database, or enter the credential again.
credential-wants = { $count ->
    [0] It wants { $kind }, and no tool uses it.
    [one] It wants { $kind }, and { $count } tool may use it.
   *[other] It wants { $kind }, and { $count } tools may use it.
}
credential-unsupported = Causeway cannot send this kind of credential.
credential-sent-to = Sent to { $origins }
credential-waiting = { $count ->
    [one] Calls go to { $origins } now. The credential was not entered for this destination and is withheld.
   *[other] Calls go to { $origins } now. The credential was not entered for these destinations and is withheld.
}
credential-approve = { $count ->
    [one] Approve the new destination
   *[other] Approve the new destinations
}
credential-certificate = Certificate chain and private key, in PEM
credential-new-value = New value
credential-replace = Replace
credential-do-set = Set
credential-will-go = What you enter will be sent to { $origins }.
credential-want-user = “User name” is needed, and has no colon in it.
credential-moved = “{ $scheme }”: The destinations changed after the page was loaded, and nothing was approved. Look at them again.
kind-key-path = an API key in the path variable { $name }
kind-key-query = an API key in the query parameter { $name }
kind-key-header = an API key in the header { $name }
kind-key-cookie = an API key in the cookie { $name }
kind-basic = user:password, HTTP basic authentication
kind-bearer = a bearer token
kind-http = HTTP authentication “{ $scheme }”
kind-oauth = an OAuth 2 access token
kind-openid = an OpenID Connect access token
kind-certificate = a TLS client certificate and its private key
client-words = Tokens are got with the client <code>{ $id }</code>. Its secret is sent to { $origins } only.
client-connected = It is connected.
client-not-connected = <b>It has to be connected</b> before calls can use it.
client-waiting = The authorization server is at { $origins } now. The client secret was not entered for it and is withheld.
client-approve = Approve the authorization server
client-connect-again = Connect again
client-disconnect = Disconnect
client-connect-account = Connect an account
client-use = Use a client id and secret
client-register = Register <code>{ $uri }</code> as the redirect URI with the authorization server, enter the client it gives you, and press Connect afterwards.
client-secret-below = The client secret will be sent to the token URL below, and the tokens to { $destinations }.
client-secret-sent = The client secret will be sent to { $origins }, and the tokens to { $destinations }.
client-id = Client id
client-secret = Client secret
client-scopes = Scopes
client-as-tools = as the tools need
client-audience = Audience
client-none = none
client-token-url = Token URL
client-authentication = The secret is sent
client-basic = in a header (basic)
client-post = in the form (post)
client-authorization-url = Authorization URL
client-revocation-url = Revocation URL
client-save = Save the client
connecting-title = Connect
connecting-words = Sign in at <code>{ $host }</code> with the account that all calls of this server shall use, and allow the access. You come back here within ten minutes.
connecting-go = Go to { $host }

## Settings: access and calls

settings-calls = Access and calls
settings-calls-words = Changes are live at once. Open connections and running calls are not interrupted.
settings-internal = This server is answered inside the process, so it has no address to set.
settings-no-destination = The document names no server, so calls have nowhere to go until this is set.
settings-destinations = Calls go to { $origins } now. Leave it empty to go where the document says.
settings-allow-help = One a line: address, network or host, with a port if only that one is meant. Private, loopback and link-local addresses are refused unless they are listed.
settings-category-help = What the catalog files it under.
settings-tags-help = Up to 12, between commas.
settings-limits = Times, sizes and older clients
settings-price-words = What consumers are charged for a call. It counts in usage, and in the budgets of limits and plans.
settings-price-dollars = Dollars for each call
settings-timeout-help = Seconds, 0.1 to 600.
label-connect = Time to connect
label-first-byte = Time for an answer to begin
label-retries = Repeats of a request
label-failures = Failures in a row
label-pause = Pause
label-approval-minutes = Time to approve
label-approval-webhook = Webhook for approvals
settings-approvals-words = Of tools that somebody has to approve before they are called. What waits is on the page <a href="{ $approvals }">Approvals</a>.
settings-approvals-save = Save approvals
settings-probe = Whether the API is well
settings-probe-help = One operation that only reads can be called from time to time, for nobody: it is in no usage, limit or ledger. What it came to is on the tab <a href="{ $health }">Health</a>.
settings-probe-operation-help = Method and path, like <code>GET /status</code>. Proposed are operations that need no argument; any other that only reads can be typed, with its arguments below. Empty: the API is not asked.
settings-probe-never = Do not check
settings-probe-save = Save check
settings-probe-minutes-help = 5 to 1440 minutes.
settings-probe-arguments-help = A JSON object, where the operation is to be called with arguments.
settings-want-object = “{ $label }” is a JSON object.
label-probe-operation = Operation
label-probe-minutes = Minutes between calls
label-probe-arguments = Arguments
settings-failing = When the API fails
settings-failing-help = A request the API does not answer, or answers with 502, 503 or 504, is sent again where repeating it is safe. After many failures in a row the API is left alone for a while, and calls are told so at once.
settings-retries-help = 0 to 5. Only GET, PUT, DELETE and other repeatable requests; all others only where nothing was sent.
settings-process-seconds = Seconds; empty: as this Causeway is configured.
settings-failures-help = 0 to 1000, after which the API is left alone; 0 is never.
settings-pause-help = Seconds, 1 to 600. Then one call finds out.
settings-approval-minutes-help = Minutes a call waits for somebody to approve it, 1 to 10080; empty: 60.
settings-approval-webhook-help = Is told of each call that waits. Empty: nobody is told.
label-price = Price of a call
settings-price-help = Such as 0.0005. Empty: calls cost nothing.
settings-price-save = Save price
settings-want-dollars = “{ $label }”: write dollars with at most six decimals, such as 0.0005.
settings-tools-page-help = 1 to 10,000. Many clients read the first page only.
settings-answer-help = KiB, 1 to 1,024. Longer ones are cut, and say how to get the rest.
settings-tools = How tools are shown
settings-tools-auto = Listed, or searched where they are many
settings-tools-all = All listed
settings-tools-search = Found by a search
settings-profile = Schemas written for
settings-profile-auto = Whoever asks, by its name
settings-profile-portable = Any client
settings-profile-strict = OpenAI, strict
settings-profile-full = Whole schemas
settings-tool-tokens-help = 200 to 100,000. Descriptions and schemas are shortened to fit.
settings-list-tokens-help = 500 to 1,000,000. Above that, or above 128 tools, they are searched.
settings-sse = HTTP+SSE, the transport of 2024
settings-sse-default = As this process is started
settings-on = On
settings-off = Off
settings-sessions = Sessions
settings-sessions-help = For clients that need an <code>Mcp-Session-Id</code>. Without them every request stands alone, which is the default.
settings-idle-help = Seconds, 1 to 86,400.
settings-sessions-max-help = 1 to 100,000. Beyond that, the one idle longest ends.
settings-save = Save
settings-stale = Somebody changed this server after the page was loaded. Compare your entries with what is set now, shown on a reloaded page, and save again.
settings-want-seconds = “{ $label }”: write seconds as a number, like 30 or 0.5.
settings-want-whole = “{ $label }”: write a whole number, like 100.

## Settings: document, name, end

document-title = Document
document-version = Version { $version }, published { $published }.
document-version-from = Version { $version }, published { $published } from <code>{ $url }</code>.
document-next = A new document becomes the next version; keys, settings and credentials stay.
document-again = Import again
rename-words = The old address goes on working, so no client has to change at once.
rename-help = For the address <code>/mcp/…</code>: a-z, 0-9 and hyphens, at most 40.
rename-do = Rename
closed-words = This server is not served: whoever calls it is told so.
closed-note = Its owner says: “{ $note }”
closed-change = Serve it again
danger-title = Danger zone
danger-words = What agents and other people notice at once.
state-title = Serving
state-words = Nothing is lost: settings, versions, credentials and keys stay as they are. Calls that run now are finished.
state-legend = This server is
state-served = Served
state-served-help = It is in the catalog, and its tools can be called.
state-disabled = Disabled
state-disabled-help = Calls are answered with an error that says so. In the catalog, only those who may manage it see it.
state-unpublished = Unpublished
state-unpublished-help = The same, and its page is gone for everybody who may not manage it.
state-choose = Choose whether this server is served, disabled or unpublished.
state-do = Change
label-note = What callers are told
note-help = Optional, for example whom to ask or what to use instead. Models and people read it.
transfer-title = Give it to somebody else
transfer-words = They have to be an admin or a publisher. The server is theirs to manage from then on, and no longer yours unless you are an admin.
transfer-do = Transfer this server
transfer-confirm = “Short name, to confirm”: type { $slug } to transfer this server.
label-to = Name of the new owner
delete-title = Delete
delete-words = Clients that use it get 404. Its credentials, connected accounts and client certificates are destroyed at once. Everything else can be restored for 30 days; until then, nobody else gets its name.
delete-do = Delete this server
delete-confirm = “Short name, to confirm”: type { $slug } to delete this server.
deleted-title = Deleted servers
deleted-words = They can be restored for 30 days, with their settings, tools and versions. Their credentials were destroyed and have to be entered again.
deleted-none = Nothing was deleted in the last 30 days.
deleted-server = Server
deleted-at = Deleted
deleted-until = Can be restored until
deleted-restore = Restore
deleted-restore-named = Restore { $slug }

## Usage

usage-title = Usage
usage-period = Period
usage-24h = 24 hours
usage-7d = 7 days
usage-30d = 30 days
usage-90d = 90 days
usage-server = Server
usage-tool = Tool
usage-consumer = Consumer
usage-any = any
usage-show = Show
usage-calls = Calls
usage-errors = Errors
usage-success = Success
usage-bytes = Bytes in and out
usage-cost = Cost
usage-no-data = no data
usage-nothing = No calls in this time.
usage-window = { $from } to { $to }, UTC. A step that is not over is drawn paler.
usage-calls-chart = Calls over time
usage-fine = succeeded
usage-failed = failed
usage-calls-desc = Bars of the calls of each step: { $calls } in all, of which { $errors } failed. The table below has every number.
usage-time-chart = Time to answer
usage-time-desc = How long half of the calls (p50) and 95 of 100 (p95) took at most, step by step, with a gap where there was none. The table below has every number.
usage-as-table = As a table
usage-when = When (UTC)
usage-partial = not over
usage-by-server = Servers
usage-by-tool = Tools
usage-by-consumer = Consumers
usage-unnamed = none, or removed
usage-csv = Export as CSV
usage-json = Export as JSON
usage-hidden = { $count ->
    [one] { $count } more, which the management API tells of.
   *[other] { $count } more, which the management API tells of.
}

## Settings of a server

settings-private = Callers with a key that names it
settings-private-hint = For everyone else there is no such server, not even in lists.

## Accounts

frame-account = Account
frame-users = Users
login-title = Sign in
login-about = Agents need no account: they call with keys of their own.
login-models = Models are asked at <code>{ $url }</code>.
login-name = Name
login-password = Password
login-by-key = Sign in with the admin key
login-by-key-about = For the operator of this server. The key is what <code>--admin-key</code> was given; without that, it is in the file <code>admin.key</code> of the data directory.
login-key = Admin key
login-use-key = Use the key
login-code = Code
login-code-hint = The six digits your device shows, or one of your recovery codes.
login-go-on = Go on
login-again = Start again
login-through = Sign in with { $label }
login-by-password = With a name and a password

oidc-about = You go on to { $label }, sign in there, and come back.
oidc-other-ways = Other ways to sign in
oidc-out = Sign out of { $label } as well
oidc-going-title = Going on to { $label }
oidc-going-words = Your browser goes on to { $host } by itself. If it does not, follow the link.
oidc-none = Nobody signs in through an identity provider here: none is set up.
oidc-failed-title = That did not work
oidc-description = What { $label } says of itself cannot be used.
oidc-description-unreachable = For whoever looks after this server: the configuration of <code>{ $issuer }</code> cannot be read ({ $why }). Check <code>oidc.issuer</code>, and whether this server reaches that address.
oidc-description-not-one = For whoever looks after this server: there is no OpenID Connect configuration below <code>{ $issuer }</code>. Check <code>oidc.issuer</code>.
oidc-description-issuer = For whoever looks after this server: the configuration is of another issuer than <code>{ $issuer }</code>. Write <code>oidc.issuer</code> to the letter as the provider does, also a slash at its end.
oidc-description-endpoint = For whoever looks after this server: in the configuration of <code>{ $issuer }</code>, <code>{ $why }</code> is missing or is no https address.
oidc-description-pkce = For whoever looks after this server: <code>{ $issuer }</code> says that it does not support PKCE with S256. Allow that at the provider.
oidc-description-algorithms = For whoever looks after this server: <code>{ $issuer }</code> signs with no algorithm that is accepted here. Let it sign ID tokens with RS256, ES256 or EdDSA.
oidc-unreachable = { $label } did not answer when it was asked who you are.
oidc-unreachable-advice = Start again. For whoever looks after this server, if it stays so: { $why }.
oidc-refused = { $label } did not accept the answer that came back with you.
oidc-refused-client = For whoever looks after this server: the provider does not accept the client (<code>{ $why }</code>). Check <code>oidc.client_id</code> and the client’s secret.
oidc-refused-code = Start again. For whoever looks after this server, if it stays so: the provider does not accept the code (<code>{ $why }</code>). Check that the client’s redirect URI is the one it was sent.
oidc-refused-advice = Start again. For whoever looks after this server, if it stays so: the provider answered <code>{ $why }</code>.
oidc-no-token = { $label } did not say who you are.
oidc-no-token-advice = For whoever looks after this server: let the client use the authorization code flow, with the scope <code>openid</code>.
oidc-no-code = No answer came back with you that can be used.
oidc-token = What { $label } said of you is not trusted.
oidc-token-issuer = For whoever looks after this server: the ID token is of another issuer than <code>{ $issuer }</code>. Check <code>oidc.issuer</code>.
oidc-token-audience = For whoever looks after this server: the ID token was issued for another client. Check <code>oidc.client_id</code>, and the audiences the provider adds.
oidc-token-clock = For whoever looks after this server: the ID token is over, or not good yet. Compare the clocks of this server and of the provider.
oidc-token-keys = For whoever looks after this server: the ID token is not signed with a key that <code>{ $issuer }</code> shows, in a way that is accepted here. Let it sign with RS256, ES256 or EdDSA.
oidc-token-form = For whoever looks after this server: the ID token lacks what it needs, or is none.
oidc-token-access = For whoever looks after this server: the ID token was issued with another access token than it came with (<code>at_hash</code>). The provider mixes up its answers; whoever runs it has to mend that.
oidc-token-nonce = Start again. The answer belongs to another sign-in.
oidc-state = This sign-in was used already, took longer than ten minutes, or was begun in another browser.
oidc-state-advice = Start again, in this browser. Cookies have to be allowed.
oidc-issuer = The answer that came back with you is not from { $label }.
oidc-issuer-advice = Start again. For whoever looks after this server, if it stays so: answers have to name the issuer <code>{ $issuer }</code> (RFC 9207).
oidc-denied = { $label } did not sign you in: <code>{ $why }</code>.
oidc-denied-advice = Start again, and agree there. If you may not use this server at all, whoever looks after { $label } decides that.
oidc-domain = { $label } names no address of e-mail of yours that it verified and that is let in here.
oidc-domain-advice = For whoever looks after this server: <code>oidc.email_domains</code> says which are. The provider has to send <code>email</code> and <code>email_verified</code>.
oidc-role = Nothing that { $label } says of you lets you in here.
oidc-role-advice = Ask for one of the groups that do. For whoever looks after this server: these are in the section <code>[oidc]</code>, and <code>role_claim</code> has to be in the ID token.
oidc-unknown = You have no account here that is linked with { $label }.
oidc-unknown-advice = If you have a password here, sign in with it and link { $label } on the page of your account. Otherwise ask an admin to invite you. For whoever looks after this server: with <code>oidc.create_accounts</code>, accounts are made at the first sign-in.
oidc-disabled = Your account may not sign in.
oidc-disabled-advice = Ask an admin.
oidc-taken = What { $label } calls you is linked with another account here.
oidc-taken-advice = End that link first, on the page of that account, or ask an admin to do so.
oidc-another = Your account is linked with somebody else at { $label } already.
oidc-last-way = Without a password, nothing would be left for you to sign in with.
oidc-last-way-advice = Ask an admin for a link to choose a password with.
account-no-password = Your account has no password: whoever vouches for you asks for passwords and codes. An admin can make you a link to choose one with.
identities-title = Signing in without a password
identities-about = Whoever proves to the provider that they are you is let in here. One-time codes are the provider’s to ask for.
identities-of = at <code>{ $issuer }</code>, since { $day }
identities-link = Link with { $label }
identities-unlink = End the link
users-linked = linked with { $shown }
done-linked = Linked. You can sign in that way from now on.
done-unlinked = The link is ended.
done-signed-out = You are signed out here.
setup-title = Make the first admin
setup-about = Nobody has an account here yet. Whoever opened this link first becomes the admin, and invites the others.
invite-title = You are invited
invite-about = Choose a password; you sign in with it and this name.
reset-title = Choose another password
reset-about = Every session of this account ends when the password is set.
account-title = Your account
account-password = Password
account-old-password = Current password
account-new-password = New password
account-set-password = Set the password
account-change-password = Change the password
account-others-end = Every other session ends.
account-of-key = You are signed in with the admin key, which has no account. Make yourself one under Users, and sign in with that.
account-wrong = That is not right. Nothing more is said about it on purpose.
account-later = Too many tries. Try again in { $seconds ->
    [one] { $seconds } second
   *[other] { $seconds } seconds
}.
account-no-link = This link was used already, is too old, or was replaced by another one. Ask for a new one.
account-password-length = { $least } to { $most } characters.
account-password-plain = That password is too easy: it is the name, or one letter over and over.
account-name-rule = 1 to 64 of the letters a to z, digits, and the signs . _ - @, with a letter or digit first.
account-name-taken = There is somebody of that name already.
account-nobody = There is nobody and nothing like that.
account-oneself = Nobody takes their own role or account away. Ask another admin.
account-busy = Too many people are signing in right now. Try again.
account-failed = Something went wrong inside. It was logged.
codes-title = One-time codes
codes-about = Ask for a code of your phone whenever you sign in, so that your password alone opens nothing.
codes-begin = Set up a device
codes-scan = Scan this with an authenticator app.
codes-secret = Or type this secret into it:
codes-here = Or open it on this device
codes-first = The code it shows now
codes-confirm = Ask for codes from now on
codes-are-on = A code is asked for when you sign in. { $left ->
    [one] { $left } recovery code is left.
   *[other] { $left } recovery codes are left.
}
codes-recovery = A code is asked for from now on. Keep these recovery codes: each stands in once for a code when the device is lost, and they are not shown again.
codes-end = Ask for no codes any more
sessions-title = Where you are signed in
sessions-browser = Browser
sessions-since = Since
sessions-seen = Last seen
sessions-this = this one
sessions-end = End
sessions-everywhere = Sign out everywhere
role-admin = Admin
role-publisher = Publisher
role-member = Member
users-title = Users
users-about = The people who sign in here. Agents are no users: they call with keys.
users-link = Link for { $name }
users-link-once = Send it to them now. It is good once, is stored only as a hash, and cannot be shown again.
users-link-word = Link
users-list = All users
users-none = Nobody has an account yet.
users-role = Role
users-last = Last sign-in
users-never = never
users-change = Change
users-disabled = disabled
users-invited = invited
users-codes = codes
users-save = Save
users-reset = Make a link
users-forget-device = Forget the device
users-disable = Disable
users-enable = Enable
users-invite = Invite somebody
users-roles-about = Members browse, call tools and have keys of their own. Publishers also publish servers and manage those. Admins do everything.
users-make-link = Make the invitation
done-made = The password is set. Sign in with it.
done-password = The password is changed. Every other session has ended.
done-codes-off = No code is asked for any more.
done-ended = The session is ended.
done-changed = Changed.

## Calls that wait for a person

frame-approvals = Approvals
approvals-words = Here are calls of agents that wait for a person. Their tools are set so that nothing is sent before somebody agrees. Look at who calls what, and with which arguments; then approve or deny it.
approvals-waiting = Waiting
approvals-none = No call waits. When one does, it is listed here, with who asks and for what.
approvals-wants = <b>{ $who }</b> wants to call <a href="{ $page }">{ $tool }</a> of { $server }
approvals-admin = The admin key
approvals-anybody = Somebody without a key, at { $address }
approvals-somebody = Somebody who is gone
approvals-consumer = A consumer that is gone
approvals-key = A key that is gone
approvals-program = A program without a name of its own
approvals-arguments = With these arguments; secrets are hidden:
approvals-next = Once: it goes through when the caller makes it again within an hour. For an hour: so does every repeat of it with the same arguments. Denied: nothing is sent, and the caller is told the reason. If nobody decides, it expires.
approvals-age = { $count ->
    [one] asked { $count } minute ago
   *[other] asked { $count } minutes ago
}
approvals-left = { $count ->
    [one] { $count } minute left
   *[other] { $count } minutes left
}
approvals-reason = Reason (if you like)
approvals-reason-help = The caller reads it where the call is denied.
approvals-once = Approve once
approvals-for-hour = Approve for an hour
approvals-deny = Deny
approvals-over = Decided and over
approvals-call = Call
approvals-caller = Caller
approvals-asked = Asked
approvals-state = State
approvals-decided-by = Decided by
approvals-waits = waits
approvals-hour = approved for an hour
approvals-approved = approved
approvals-denied = denied
approvals-used = approved, called
approvals-expired = expired
done-approved = The call was approved.
done-denied = The call was denied.
tool-asks = This tool asks before it is called. Nothing was sent yet: look at the arguments once more, and confirm.
tool-confirm = Confirm and call

health-title = Health
health-check = Check
health-state = State
health-found = What was found
health-ok = fine
health-warn = look at it
health-fail = wrong
health-all-ok = Everything that was looked at is fine.
health-some-warn = It works; some of it should be looked at.
health-some-fail = Something is wrong. What to do stands beside it.
health-about = Looked at just now, by this process. The same as JSON: GET /api/v1/doctor; on the command line: causeway doctor.

doctor-late = It did not end within { $seconds } seconds.
doctor-public-fine = { $url } leads to this process.
doctor-public-unsaid = No public URL is set; { $url }, the listener, answers.
doctor-public-other = { $url } leads to another process of Causeway.
doctor-public-other-advice = That is as it should be where several processes share a database. Otherwise the name, or the proxy, leads to the wrong machine.
doctor-public-stranger = { $url } is answered, but not as Causeway does (status { $status }).
doctor-public-stranger-advice = Let the proxy forward this address to the listener, with everything below it; docs/proxies.md has recipes.
doctor-public-unreached = { $url } is not reached from here: { $why }.
doctor-public-unreached-advice = Check the name, the certificate and the proxy. Where this machine alone cannot reach it, clients may do so all the same.
doctor-hosts-fine = Requests that come this way name a host that is let in; others are refused.
doctor-hosts-refused = Requests that come this way name a host that is refused.
doctor-hosts-advice = Let the proxy pass the Host header on as it came, or start the server with --public-url as clients write it.
doctor-hosts-any = Any Host header is let in, because it is not known what clients call this server.
doctor-hosts-any-advice = Start the server with --public-url.
doctor-streaming-fine = A stream arrives as it is sent: its first event after { $ms } ms, its end { $all } ms later.
doctor-streaming-held = Something on the way holds a stream back until it ends: its first event came after { $ms } ms.
doctor-streaming-advice = Turn off buffering of text/event-stream in the proxy; docs/proxies.md has recipes.
doctor-streaming-none = No stream came through; see public-url.
doctor-clock-same = The database is on this machine: there is one clock.
doctor-clock-fine = The clocks of this machine and of the database are { $ms } ms apart.
doctor-clock-apart = The clocks of this machine and of the database are { $ms } ms apart.
doctor-clock-advice = Let both keep time by NTP: when sessions, keys and quotas end is told by the clock.
doctor-keys-given = The keys were given as settings; no file holds them.
doctor-keys-private = The { $key } key in { $path } is read by its owner only.
doctor-keys-group = The { $key } key in { $path } is read by a group.
doctor-keys-open = The { $key } key in { $path } is read by everyone on this machine.
doctor-keys-open-advice = Run chmod 600 { $path }. If others may have read it, replace the key.
doctor-keys-missing = The { $key } key in { $path } cannot be read any more.
doctor-keys-missing-advice = Put { $path } back from your copy before the server is started again: without it, it does not start.
doctor-schema-fine = The schema of the database is that of this version ({ $done }).
doctor-schema-behind = The schema of the database is { $done }, and this version needs { $known }.
doctor-schema-behind-advice = Stop the server and run causeway migrate.
doctor-schema-ahead = A newer version brought the schema to { $done }; this one knows it up to { $known }.
doctor-schema-ahead-advice = Bring this process to the newer version as well.
doctor-writing = A durable write takes { $ms } ms.
doctor-writing-advice = The disk or the database is slow or busy; imports and the ledger wait for it. Use a local disk for SQLite.
doctor-database-gone = The database does not answer; the log says why.
doctor-database-gone-advice = Check that it runs and is reached. Calls of servers in memory go on meanwhile.
doctor-redis-fine = Redis answers.
doctor-redis-gone = { $why }.
doctor-redis-advice = Until it does, each process counts rates and requests under way on its own: limits let through more calls, and models balance by what one process knows.
doctor-sign-in-fine = People can sign in through { $issuer }.
doctor-sign-in-unusable = Nobody can sign in through { $issuer }: what it says of itself cannot be used: { $why }.
doctor-sign-in-no-keys = Nobody can sign in through { $issuer }: it shows no keys that tokens can be verified with.
doctor-sign-in-advice = Compare oidc.issuer with what the provider writes, to the letter, and let this server reach it.
doctor-prices-fine = Prices of your own are of kinds of providers that there are.
doctor-prices-idle = Prices of your own are not used, because no provider is of this kind: { $lists }.
doctor-prices-advice = Write them under the kind of the provider, which its page names; docs/prices.md says more.
doctor-changes-fine = Changes of other processes were heard of { $seconds } seconds ago.
doctor-changes-old = Changes of other processes were last heard of { $seconds } seconds ago.
doctor-changes-advice = The database does not answer the feed of changes; until then this process serves what it knows.
doctor-ledger = { $waiting } of at most { $room } calls wait to be written to the ledger.
doctor-ledger-advice = The database does not keep up. When there is no room left, the newest are lost.
doctor-disk = { $mb } MB are free for { $path }.
doctor-disk-advice = Make room: without it, nothing can be published and no call is written to the ledger.
doctor-disk-unknown = The free space of { $path } cannot be told.

audit-title = Who did what
audit-actor = Who
audit-action = Action
audit-entity = Kind or name
audit-from = From (UTC)
audit-to = To (UTC)
audit-any = any
audit-show = Show
audit-nothing = Nothing that was done fits.
audit-when = When (UTC)
audit-changes = Changes
audit-lines = { $count ->
    [one] { $count } change
   *[other] { $count } changes
}
audit-hidden = { $count } more are not shown.
audit-older = Older
users-export = Export
users-export-named = Export everything that is stored about { $name }
users-erase = Erase
users-erase-words = Their sessions, keys, links and name are erased; their servers become the admins’. In the audit and the ledger a pseudonym takes their place. This cannot be undone.
users-erase-confirm = Type { $name } to erase this person
users-erase-do = Erase for good
account-data = Your data
account-data-words = Everything that is stored about you: your account, sessions and keys without their secrets, servers, approvals, what you did, and your calls.
account-data-do = Export as JSON
account-unconfirmed = The name that was typed is another one; nothing was erased.

# Accounts of one's own.
own-title = Connect your account
own-words = Calls that are made for you, <b>{ $name }</b>, of the server <b>{ $title }</b> (<code>{ $slug }</code>) need an account of your own. It is used for your calls only.
own-what = Needed
own-tools = Tools that use it
own-tools-more = { $count ->
    [one] and one more
   *[other] and { $count } more
}
own-goes = It is sent to
own-signs-in = You sign in at
own-scopes = Access that is asked for
own-scopes-none = what the provider gives by itself
own-sign-in-words = You are led to <code>{ $host }</code>, sign in there, and come back within ten minutes. Your password stays there.
own-kept = It is kept encrypted, is sent nowhere else, is shown to nobody, and is destroyed the moment you disconnect it.
own-do = Connect
own-unasked = Did somebody send you this address, and you called no tool yourself? Then close this page: nothing has been stored.
own-connecting-words = Sign in at <code>{ $host }</code> with your own account and allow the access. You come back here within ten minutes.
done-own-connected = Your account is connected. Call the tool again.
done-own-disconnected = Disconnected. What was stored is destroyed.
connections-title = Connected accounts
connections-about = Accounts of yours that servers use for your calls, and for nobody else’s.
connections-none = You have connected no account.
connections-nothing-open = No server asks for an account of yours now. When one does, it is listed here, and the answer to a call of its tools has a link that leads to connecting it.
connections-choose = The servers below ask for an account of your own: connect one, and their tools work for you.
connections-show = Connected accounts
connections-server = Server
connections-goes = Sent to
connections-since = Connected
connections-used = Last used
connections-never = never
connections-again = Connect again
connections-end = Disconnect
connections-ended = ended
connections-open = Not connected yet
credential-each-user = each user’s own
credential-each-user-words = Each user connects an account of their own. What the server holds itself is used for nobody’s calls.
credential-each-user-offer = One credential is shared by all calls. Instead, each user can connect an account of their own.
credential-each-user-do = Each user connects their own
credential-each-user-end = Share one credential; destroy what users connected
# Looking at a server before it is served
publish-next = Continue to review
review-title = Review
review-words = Nobody but those who manage this server can see or call it yet. Look through it, change what you like, and publish.
review-served-words = The tools of this server in one form. What you save is live at once.
review-publish = Publish and connect
review-save = Save
review-later = Save for later
review-defaults = Everything below is filled in already.
review-whole-report = The whole report
review-access = Who calls it, and where calls go
review-access-words = All of it can be changed later, in the settings.
review-limits = How often
review-limits-none = As often as they like
review-limits-kept = The limits it has
review-limits-minute = { $count ->
    [one] { $count } call a minute for each consumer
   *[other] { $count } calls a minute for each consumer
}
review-limits-day = { $count ->
    [one] { $count } call a day for each consumer
   *[other] { $count } calls a day for each consumer
}
review-client = An OAuth client is entered in the settings.
review-tools-words = What is not ticked is neither listed nor callable. A description that is emptied is the document's again.
review-search = Save and search
review-hidden = { $count ->
    [one] { $count } more tool is not shown and stays as it is. Search to change it.
   *[other] { $count } more tools are not shown and stay as they are. Search to change them.
}
review-serve = Serve
review-does = What it does
review-confirm = Ask before a call
review-description = Description
review-serve-named = Serve { $tool }
review-name-named = Name of { $tool }
review-description-named = Description of { $tool }
review-confirm-named = Ask before a call of { $tool }
review-never = nobody
review-client-asks = the user of the client
review-human-asks = somebody here
home-draft = Not published yet: review it, and go on.
closed-review = Review and publish
review-all-tools = Change many tools at once

# Limits, plans and consumers
frame-plans = Plans
frame-consumers = Consumers
limits-title = How much may be used
limits-words = Limits of this server, for everybody who calls it. Plans and limits of single consumers are the admins'.
limits-amount = Amount
limits-unit = What
limits-window = In each
limits-scope = For each
limits-burst = At once
limits-reset-day = Day it begins
limits-requests = calls
limits-tokens = tokens of answers
limits-money = dollars
limits-concurrency = calls at the same time
limits-second = second
limits-minute = minute
limits-hour = hour
limits-day = day
limits-month = month
limits-consumer = consumer
limits-user = person, all their keys together
limits-key = key
limits-server = server, all callers together
limits-tool = tool, all callers together
limits-address = client address
limits-help = A row without an amount is no limit: empty one to remove it; after saving there are new rows. <b>At once</b> is how many calls may come together, in windows up to an hour; <b>Day it begins</b>, 1 to 28, is for months. Dollars are counted by day or month.
limits-none = No limits.
limits-line = { $what }, each { $window }, for each { $scope }
limits-line-now = { $what }, for each { $scope }
limits-some-requests = { $count ->
    [one] { $amount } call
   *[other] { $amount } calls
}
limits-some-tokens = { $count ->
    [one] { $amount } token of answers
   *[other] { $amount } tokens of answers
}
limits-some-money = { $count ->
    [one] { $amount } dollar
   *[other] { $amount } dollars
}
limits-some-concurrency = { $count ->
    [one] { $amount } call at the same time
   *[other] { $amount } calls at the same time
}
limits-row = Row { $row }: { $why }
limits-wrong-amount = The amount is 1 to 1000000000; of dollars, a millionth to 1000000000.
limits-wrong-window = It lacks the time it is counted in.
limits-wrong-concurrency = Calls at the same time have no <b>At once</b> and no <b>Day it begins</b>.
limits-wrong-money = Dollars are counted by day or month.
limits-wrong-burst = <b>At once</b> is 1 to 1000000000, in windows up to an hour.
limits-wrong-day = <b>Day it begins</b> is 1 to 28, for months.
limits-wrong-twice = There is another row of the same kind, time and <b>For each</b>.
limits-wrong-many = There are too many rows: at most 16.
limits-save = Save limits
plans-words = A plan is a set of limits by name. It is given to a consumer for one server, on the page of that <a href="{ $consumers }">consumer</a>.
plans-none = There are no plans yet.
plans-new = New plan
plans-keep = Save plan
plans-name-help = Letters, digits, hyphens and underscores.
plans-change = Change
plans-change-named = Change { $name }
plans-remove = Remove
plans-remove-named = Remove { $name }
consumers-words = Whoever calls with keys of one name, or with a token of an issuer.
consumers-search = Part of a name
consumers-none = There is no such consumer.
consumers-more = More consumers
consumers-quotas = Used now
consumers-quotas-words = Of limits by day and month. What a process has taken beforehand counts as used.
consumers-quotas-none = Nothing that is counted by day or month was used.
consumers-used = { $taken } of { $amount } used.
consumers-until = A new count begins at { $at }.
consumers-limits-words = For everything this consumer does, with any server or model.
consumers-plans-words = One for each server. <a href="{ $plans }">Plans</a> are made on a page of their own.
consumers-plan = Plan
consumers-server = Server
consumers-give = Give plan
consumers-plan-remove-named = Remove the plan with { $server }
consumers-data = What is stored about it
consumers-data-words = Export everything, or erase it: keys stop working, and a pseudonym takes its place.
consumers-erase-confirm = Type { $name } to erase this consumer
done-plan-kept = The plan is saved, for everybody who has it.
done-plan-removed = The plan is removed.
done-erased = It is erased.

# The playground
frame-playground = Playground
playground-title = Playground
playground-words = Ask up to three models the same thing, with your own access. Programs ask at the same address: see <a href="{ $docs }">Models</a>.
playground-model = { $number ->
    [1] Model
   *[other] Model { $number }
}
playground-none = none
playground-demo = <code>demo</code> is built in: it repeats what it hears, without any provider. Models of a provider are also found as <code>provider/model</code>.
playground-system = System text
playground-system-none = none
playground-message = Message
playground-example = Say hello in three languages.
playground-send = Send
playground-stop = Stop
playground-stop-all = Stop all
playground-yours = Calls count as yours: limits, cost and the ledger know of them.
playground-answers = Answers
playground-waiting = Waiting for the first token…
playground-answered = answered
playground-stopped = Stopped. What was used until then is accounted for.
playground-broken = The answer did not come to its end; load the page again if you were signed out.
playground-no-model = Choose a model.
playground-no-message = Write a message.
playground-thought = What it thought
playground-first-token = First token after
playground-total = Time in all
playground-tokens-in = Tokens in
playground-tokens-out = Tokens out
playground-cached = of which { $count } cached
playground-reasoning = of which { $count } thought
playground-cost = Cost
playground-unknown = unknown
playground-target = Answered by
playground-attempts = attempt { $count }
playground-trace = Trace
playground-again = Ask again after { $seconds ->
    [one] one second
   *[other] { $seconds } seconds
}.
playground-fault-body = What a program gets
playground-dropped = Left out, because the provider cannot be told:
playground-ended-length = It ended at the number of tokens an answer may have.
playground-ended-filter = The provider’s filter cut it.
playground-ended-refusal = The model did not want to answer.
playground-ended-full = It ended where the context of the model was full.
playground-cut = It goes on; more is not shown here.
playground-other = It holds something that is no text, which is not shown here.
playground-empty = It holds no text.
playground-estimated = Tokens were estimated here: the provider did not tell them.
playground-copy = Ask from a program
playground-copy-curl = With curl
playground-copy-python = In Python
playground-copy-typescript = In TypeScript

# What calls of models add up to
model-usage-models = Models
model-usage-model = Model
model-usage-providers = Providers
model-usage-provider = Provider
model-usage-arms = Arms
model-usage-arm = Arm
model-usage-targets = Targets
model-usage-tokens = Tokens over time
model-usage-first-token = Time to the first token
model-usage-first-p50 = First token p50
model-usage-first-p95 = First token p95
model-usage-time-p50 = Whole answer p50
model-usage-time-p95 = Whole answer p95
model-usage-percentiles = p50: half of the calls took at most so long; p95: 95 of 100 did.
model-usage-p50 = p50
model-usage-p95 = p95
model-usage-written = { $count } written to a cache
model-usage-and-unknown = and { $count ->
    [one] one call
   *[other] { $count } calls
} without a known price
model-usage-calls-desc = Bars of the calls of each step; those that failed stand above. The table below has every number.
model-usage-tokens-desc = Bars of the tokens of each step: those that went in below, those that came out above. The table below has every number.
model-usage-cost-desc = Bars of what the calls of each step cost, as far as their price is known. The table below has every number.
model-usage-first-token-desc = How long half of the streams (p50) and 95 of 100 (p95) took at most to their first token, step by step, with a gap where there was none. The table below has every number.

# Models on the page of a consumer
consumers-models = Limits of models
consumers-models-words = What each model may be used for, whoever asks for it; its own limits above count for models too.
consumers-models-downgrade = Once tokens or money are used up, <code>{ $model }</code> takes over.
limits-model = model, all callers together
# Providers of models, and their keys.
frame-administration = Admin
frame-providers = Providers
frame-models = Models
providers-words = Whoever runs the models that callers ask for: a company with an API, a cloud, a machine of yours. Which names lead to them, the <a href="{ $models }">models</a> say.
providers-add = Add a provider
providers-none = There is no provider yet
providers-none-words = With one and its key, callers can ask for each of its models.
providers-kind = Kind
providers-speaks = Protocol
providers-speaks-dialect = Speaks <code>{ $dialect }</code>
providers-keys = Keys
providers-changed = Last change
providers-verified = Verified
providers-unverified = OpenAI-compatible, unverified
providers-unverified-other = Unverified
providers-unknown = No such kind any more
providers-no-key = No key yet
providers-needs-no-key = Needs none
providers-more-keys = and { $count } more
providers-key-elsewhere = Not sent
providers-kinds-words = Of whom? Kinds that are marked <em>verified</em> were compared with what their provider publishes; the others speak OpenAI's protocol as far as is known.
providers-docs = Its documentation
providers-name-help = Its models can be asked for as <code>{ $name }/…</code>. Lower case letters, digits and hyphens.
providers-elsewhere = At another address, on a private network, or far away
providers-base-help = In the place of its own address: of a proxy, or of a gateway in your network.
providers-allow-help = Only for private networks: addresses, networks or host names, each with a port if you like, one in each line: <code>10.0.0.5:8000</code>. Others stay out of reach.
providers-line = “{ $label }”, line { $row }: { $why }
providers-make = Add it
providers-keys-words = They are sealed and never shown again. With several, they take turns; one that is refused or used up is left alone for a while.
providers-keys-none = There is no key yet. It is tried as soon as you save it.
providers-key = Key
providers-key-help = As the provider wrote it; elsewhere often in <code>{ $variable }</code>.
providers-key-help-plain = As the provider wrote it.
providers-key-name = Its name
providers-key-name-help = The name of a key that is there replaces it.
providers-key-save = Save and test
providers-key-replace = Replace
providers-key-replace-named = Replace the key { $name }
providers-key-remove-named = Remove the key { $name }
providers-key-elsewhere-words = It was entered for { $origin } and is not sent to where the provider is now. Replace it if it belongs there.
providers-key-tested = The key is saved. { $said }
providers-key-test-named = Test the key { $name }
providers-untested = It has no list of models: name one to try it with.
providers-test = Test
providers-test-words = Asks it now, with the first of its keys. No consumer is charged for it.
providers-test-model = Model
providers-test-model-help = Left empty, it is asked for the list of its models; a model is asked for a few words.
providers-test-model-wanted = It has no list of models: this one is asked for a few words.
providers-test-do = Test
providers-answered = It answered in { $milliseconds } ms.
providers-listed = { $count ->
    [one] It answered in { $milliseconds } ms, with { $count } model.
   *[other] It answered in { $milliseconds } ms, with { $count } models.
}
providers-failed = The test failed: { $message }
providers-use = Ask it
providers-use-words = Ready to paste, with a <a href="{ $keys }">key of yours</a> in the place of <code>YOUR_KEY</code>.
providers-use-none = Test it, and its models are proposed here.
providers-leading = Models that lead here:
providers-offer = No model leads here yet. Callers can write <code>{ $name }/…</code>; under a name of its own, you can send them elsewhere later.
providers-serve = Serve it
providers-serve-named = Serve { $model }
providers-serve-one = Serve one of its models
providers-serve-other = Another model, or another name
providers-serve-model = Its model
providers-serve-name = Name for callers
providers-serve-same = the same
providers-settings = Where it is
providers-settings-words = Keys stay with the address they were entered for: when the provider moves, enter them again.
providers-delete-words = Its keys are destroyed. It can be deleted once no model leads to it.
providers-delete-do = Delete this provider
providers-stale = Somebody changed this provider since the page was shown. What you entered is still here: compare it with what is set now, shown on a reloaded page, and save again.
providers-delete-confirm = Type { $name } to delete this provider.
done-provider-made = The provider is there. Next, give it a key, or test it.
done-provider-removed = The provider and its keys are gone.
done-provider-key-removed = The key is removed.
done-model-made = The model is there: it can be asked for from now on.
done-model-removed = The model is removed. Its name leads nowhere now.

# Models: the names callers use, and where they lead.
models-list-words = The names callers ask for, and where each leads: to one or more models of your <a href="{ $providers }">providers</a>. A change counts for the next request.
models-demo = The model <code>demo</code> is there without any provider: it repeats what it was told, so that a first call works at once.
models-all = All models
models-none = There is no model yet
models-none-words = Give a model of a provider a name below, and callers can ask for it. You can send the name elsewhere later, and nobody has to change anything.
models-none-providers = A model leads to a provider: add one first.
models-more = More models
models-pattern = Pattern
models-picture = Where { $name } leads
models-then = where all of these fail
models-used-up = once used up
models-same = the same name
models-spare = only where others fail
models-words-first = First: { $targets }.
models-words-then = Where those fail: { $targets }.
models-words-exhaust = Once tokens or money are used up: { $name }.
models-exhaust-line = Once tokens or money are used up, <code>{ $name }</code> answers
models-changed-at = Changed { $at }
models-new = New model
models-name = Name for callers
models-name-help = Up to 200 characters without spaces. A <code>*</code> at the end stands for the rest: <code>claude-*</code>.
models-provider = Provider
models-model = Its model
models-model-help = As the provider calls it. Left empty, it is asked for the name the caller used; with <code>*</code>, for what follows the first slash of that.
models-make = Add it
models-targets = Targets
models-targets-words = Of the lowest tier, each is asked as often as its weight says beside the others; later tiers follow where all before failed.
models-targets-help = A row without a provider is no target: choose none to remove one; after saving there are new rows. Weight 0 is asked only where the others of its tier fail. <b>Longest answer</b> is in tokens, for providers that want to be told one.
models-no-target = none
models-weight = Weight
models-tier = Tier
models-output = Longest answer
models-share = Share
models-targets-save = Save targets
models-wants-provider = It has a model and no provider.
models-refused = “{ $label }” { $why }
models-limits-words = Of this model, for everybody who asks for it. Those of single consumers are on their pages.
models-requests = requests
models-tokens = tokens
models-concurrency = requests at the same time
models-everybody = all together
models-line = { $what }, each { $window }, { $scope }
models-line-now = { $what }, { $scope }
models-of-all = for all together
models-of-consumer = for each consumer
models-of-user = for each person
models-of-key = for each key
models-of-address = for each client address
models-some-requests = { $count ->
    [one] { $amount } request
   *[other] { $amount } requests
}
models-some-tokens = { $count ->
    [one] { $amount } token
   *[other] { $amount } tokens
}
models-some-concurrency = { $count ->
    [one] { $amount } request at the same time
   *[other] { $amount } requests at the same time
}
models-exhaust = Once tokens or money are used up
models-exhaust-refuse = refuse
models-exhaust-help = The name of another model that answers then. Left empty, requests are refused until the next count begins.
models-faults = Where a target fails
models-faults-words = All of it happens before the first piece of an answer has gone to the caller; never after.
models-fallback = The next target is asked after
models-on-rate-limit = A limit of the provider's
models-on-server-error = An error of the provider's, or where it cannot be reached
models-on-timeout = An answer that is too late
models-on-stall = An answer that began, and whose first piece is too late
models-on-context-length = A request that is too long for the model
models-on-credential = A key that is refused or used up
models-on-content-policy = A request that the provider's content policy refuses
models-retries = Repeats with one target
models-retries-help = 0 to 5, after the pause the provider asks for.
models-first-byte = Seconds until an answer begins
models-first-byte-help = Of a stream, until its first token.
models-idle = Seconds between two pieces
models-total = Seconds in all
models-on-disconnect = When the caller leaves
models-cancel = End it at once
models-drain = Read on for half a minute, to know what it cost
models-on-loss = Fields the target has no word for
models-drop = Leave them out and name them
models-refuse = Refuse the request
models-stale = Somebody changed this model since the page was shown. What you entered is still here: look at it beside what is drawn above, then save again.
models-delete-words = Its name leads nowhere then, and callers are refused. Requests under way go on.
models-confirm = Name, to confirm
models-delete-do = Delete this model
models-delete-confirm = Type { $name } to delete this model.
# Routing of models: how requests are spread, canaries and shadows.
models-when = When
models-when-first = first
models-when-then = where all before failed
models-when-canary = for callers of the canary
models-when-shadow = as well, as the shadow
models-only-legend = Only requests that failed before with
models-only-always = for any request
models-only-after = only after: { $what }
models-only-rate-limit = a limit
models-only-server-error = an error
models-only-timeout = too late
models-only-stall = stall
models-only-context-length = too long
models-only-credential = a refused key
models-only-content-policy = content policy
models-spread = How requests are spread
models-spread-words = Which target of a tier is asked first; the others follow, should it fail.
models-weighted = By weight
models-weighted-help = By chance, each as often as its weight says: for providers that take whatever comes.
models-least-busy = To the least busy
models-least-busy-help = The one with the fewest requests under way for its weight: for servers of your own, and requests of uneven length.
models-latency = To the fastest
models-latency-help = Of two by chance, the one that begins to answer sooner: for providers whose speed changes.
models-prefix-affinity = To the one that knows the prompt
models-prefix-affinity-help = The one that was asked most of the prompt's beginning before, so that its cache is used: for long instructions and growing conversations.
models-ttl = Seconds for which prompts are remembered
models-ttl-help = Only where the prompt decides: 10 to 86400.
models-other = Everything else
models-logged = Requests and answers are written to the log
models-not-logged = Requests and answers are not written to the log
models-ranked = Rank { $rank }; { $logged }
models-rank = Rank
models-rank-help = Of names that are regular expressions, the lowest rank is tried first.
models-log-bodies = Write requests and answers to the log
models-log-bodies-help = Only their beginnings, and secrets are hidden. Whoever reads the log reads what people wrote.
models-and-more = { $name } and { $count } more
models-aside-canary = Canary, { $who }
models-aside-paused = Canary, paused
models-aside-shadow = Shadow, { $share } % of requests, answers thrown away
models-words-aside = { $said }: { $targets }.
models-canary = Canary
models-canary-words = Other targets, which some of the callers are sent to, to see how they do. Whoever is sent there stays there.
models-canary-none = No canary
models-canary-paused = Paused: nobody is sent to { $to }
models-canary-is = To { $to }: { $who }
models-canary-of-callers = { $share } % of callers
models-canary-of-requests = { $share } % of requests
models-canary-of-header = requests with { $name }
models-canary-of-consumers = { $count ->
    [one] 1 consumer
   *[other] { $count } consumers
}
models-canary-of-nobody = nobody yet
models-canary-on = Under way
models-canary-off = Paused
models-arms = The last 24 hours
models-arms-none = Nobody called it yet.
models-arms-all = All figures of this model
models-canary-accept = Make it the model
models-canary-stop = Send nobody there
models-canary-resume = Send callers there again
models-canary-remove = Remove it
models-canary-end-help = <b>Make it the model</b> puts its targets in the place of those above. What it did stays in the figures.
models-canary-change = Change the canary
models-canary-share = Share of callers, in percent
models-canary-share-help = 0 to 100. With 0, only those who are named below.
models-canary-sticky = Who stays where they were sent
models-sticky-consumer = A consumer, with all its keys
models-sticky-key = Each key
models-sticky-none = Nobody: each request by chance
models-canary-header = Always with this header
models-canary-header-help = Requests that have it, with this very value, are sent there, whoever asks.
models-canary-value = and its value
models-canary-consumers = Consumers that are always sent there
models-canary-consumers-help = By name, one in each line.
models-canary-rollback = End it by itself
models-canary-rollback-help = Nobody is sent there any more once more of its calls failed than this. Left empty, you end it yourself.
models-canary-errors = Calls that fail, in percent
models-canary-never = never
models-canary-calls = Of at least so many calls
models-canary-seconds = In the last so many seconds
models-canary-name = What it is called in figures
models-canary-name-help = Give each try a name of its own, so that it is told apart from the one before.
models-canary-pause = Paused: nobody is sent there
models-canary-save = Save the canary
models-shadow = Shadow
models-shadow-words = A target that some requests are sent to as well. Its answers are counted and thrown away: no caller waits for it or pays for it.
models-shadow-none = No shadow
models-shadow-is = { $share } % of requests also to { $to }
models-shadow-provider-help = None, and there is no shadow.
models-shadow-share = Share of requests, in percent
models-shadow-concurrency = At the same time, at most
models-shadow-concurrency-help = 1 to 64 in each process; what is more is not sent.
models-shadow-save = Save the shadow
models-output-help = In tokens, for providers that want to be told one.
models-want-percent = “{ $label }” is a number with up to two decimals, such as 5 or 0.25.
models-unpriced = Nobody knows what { $targets } costs, so its answers cost nothing of a limit in dollars. Give it a price in a <a href="{ $prices }">table of your own</a>, or limit tokens as well.
models-wrong-targets = It needs one target at least, and has up to 32.
models-wrong-first = One target at least has to be there for any request.
models-wrong-canary-name = A name that stands for many has no canary.
models-rule-weight = is 0 to 1000.
models-rule-tier = is 0 to 15.
models-rule-name = is 1 to 200 characters without spaces; a <code>*</code> stands for the rest, at the end only.
models-rule-taken = is taken: there is a model { $name } already.
models-rule-model = is 1 to 200 characters without spaces.
models-rule-output = is at least 1.
models-rule-retries = is 0 to 5.
models-rule-ttl = is 10 to 86400.
models-rule-seconds = is 0.1 to 3600.
models-rule-share = is 0 to 100.
models-rule-shadow-share = is 0.01 to 100.
models-rule-concurrency = is 1 to 64.
models-rule-canary-name = is up to 40 letters, digits, hyphens, underscores and dots, and neither <code>stable</code> nor <code>shadow</code>.
models-rule-header = is the name of a header, and its value has 1 to 200 visible characters.
models-rule-consumers = has up to 100 names.
models-rule-errors = is 0 to 99.99.
models-rule-calls = is 1 to 1000000.
models-rule-rollback-seconds = is 10 to 604800.
models-rule-other = is the name of another model.
models-rule-provider = leads nowhere: there is no provider { $name }.
models-rule-consumer = names nobody: there is no consumer { $name }.
models-rule-downgrade = leads nowhere: there is no model { $name }.
done-canary-accepted = The canary's targets are the model's now.
done-canary-stopped = Nobody is sent to the canary any more.
done-canary-resumed = Callers are sent to the canary again.
done-canary-removed = The canary is removed.
# Providers: how they are looked after.
providers-care = How it is looked after
providers-care-words = A provider that is down is asked only where no other target of a model is left.
providers-well = Well
providers-down = Down
providers-left-alone = Left alone for a moment
providers-running = { $count ->
    [one] 1 request of this process is under way.
   *[other] { $count } requests of this process are under way.
}
providers-checked = { $count ->
    [one] Its last check went well, at { $at }.
   *[other] Its last check went well, { $count } in a row now, at { $at }.
}
providers-check-failed = { $count ->
    [one] Its last check failed, at { $at }: { $message }
   *[other] Its last check failed, the last { $count } in a row, at { $at }: { $message }
}
providers-load-told = { $running ->
    [one] At { $at } it had 1 request under way and { $waiting } waiting, as it said.
   *[other] At { $at } it had { $running } requests under way and { $waiting } waiting, as it said.
}
providers-load-failed = Its load could not be read at { $at }: { $message }
providers-is-checked = { $seconds ->
    [one] Checked every second
   *[other] Checked every { $seconds } seconds
}
providers-not-checked = Not checked
providers-and-load = { $seconds ->
    [one] { $checked }; its load is read every second
   *[other] { $checked }; its load is read every { $seconds } seconds
}
providers-health = Checks
providers-check = Check it while nobody asks it
providers-check-help = Its list of models is asked for. Otherwise only requests tell how it is.
providers-check-every = Seconds between checks
providers-down-after = Down after so many that failed
providers-up-after = Up again after so many that did not
providers-load = Load
providers-read-load = Read how busy it is
providers-read-load-help = From <code>/metrics</code>, as vLLM and SGLang write it. It counts where requests go to the least busy.
providers-load-every = Seconds between readings
providers-open = What callers may do
providers-open-words = Beside asking its models: closed unless you open it.
providers-open-none = Only its models
providers-open-files = Its models, files and batches
providers-open-all = Its models, and anything else it has
providers-open-both = Its models, files and batches, and anything else it has
providers-pass-through = Ask it for anything of its own, at <code>/p/{ $name }/…</code>
providers-pass-through-help = Everybody with a key works in the account of your key there, and sees what others made in it.
providers-files = Keep files and batches at it, at <code>/v1/files</code> and <code>/v1/batches</code>
providers-files-help = Each finds only what is its own. For providers that speak OpenAI's protocol.
providers-refused = The test failed: it is at an address that is refused unless you allow it. If it belongs there, enter <code>{ $rule }</code> in “{ $label }” below.
providers-refused-here = Enter <code>{ $rule }</code> here if it belongs there.
providers-unresolved = The test failed: its host has no address. <code>{ $message }</code>
providers-unreachable = The test failed: nothing answers at its address. <code>{ $message }</code>
providers-timed-out = The test failed: no answer came in time. <code>{ $message }</code>
providers-unlisted = It has no list of models that could be asked for, and cannot be checked.
providers-rule-text = has up to 2000 characters and no spaces.
providers-rule-base = is an address of http or https, without a user, a query or a fragment. Keys are entered apart.
providers-rule-missing = is needed: { $help }
providers-rule-unfit = cannot stand in an address.
providers-rule-many = has up to 32 rules.
providers-rule-connect = is 0.1 to 60 seconds, or empty.
providers-rule-allow = “{ $text }” is no address, network or host name, such as <code>10.0.0.5</code>, <code>10.0.0.0/8:8080</code> or <code>api.internal:8080</code>.
providers-rule-every = is 1 to 3600.
providers-rule-after = and its counterpart are 1 to 100.
providers-rule-load-every = is 1 to 60.
providers-rule-taken = is taken: there is a provider { $name } already.
providers-rule-key-name = is 1 to 64 letters, digits, hyphens, underscores and dots.
# What the kinds say of themselves; the same texts as in their data.
kinds-any = Any other with OpenAI's API
kinds-thinking-tools = A tool that has to be called is refused by models that think.
kinds-inference-endpoint = The model is the id of a model or of an inference endpoint (ep-...).
kinds-appid = An application is named in the header appid, where one is wanted.
kinds-deployment = The model is the name of a deployment.
kinds-old-deployment = The model is the name of a deployment. New resources are better asked at the v1 API, which has responses.
kinds-azure-resource = The name of the Azure resource: what stands before .openai.azure.com in its endpoint.
kinds-azure-preview = Only for features in preview: preview. The v1 API needs none.
kinds-dated-version = The dated version of the API.
kinds-google-project = The id of the Google Cloud project.
kinds-google-location = A region (europe-west4), a multi-region (us, eu) or global.
kinds-google-location-of-claude = A region (europe-west1), a multi-region (us, eu) or global.
kinds-google-token-url = Where assertions of a service account go; its key file has to name the same address as <code>token_uri</code>. Only what is named here is ever asked.
kinds-aws-region = The AWS region in which the models are enabled, such as us-east-1.
kinds-cloudflare-account = The id of the Cloudflare account: 32 hexadecimal digits, in the URL of its dashboard.
kinds-publishers = Models are named publisher/model. The list of models is an array, not an object with <code>data</code>.
kinds-public-list = The list of models is public, so a successful probe does not prove a credential.
kinds-ollama-base = Where Ollama listens, with /v1 at the end.
kinds-vllm-base = Where vLLM listens, with /v1 at the end.
kinds-sglang-base = Where SGLang listens, with /v1 at the end.
kinds-llama-base = Where llama-server listens, with /v1 at the end.
kinds-lm-studio-base = Where LM Studio listens, with /v1 at the end.
kinds-any-note = What it can really do is not known. Requests for responses are translated to chat.
kinds-any-base = What stands before /chat/completions in its URL.
kinds-off-peak = Off-peak discounts are not in the built-in prices.
kinds-xai-responses = xAI calls its chat completions deprecated; responses are the better choice.
