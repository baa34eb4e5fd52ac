# Every text of the pages in English. A message is trusted HTML and may hold <code>, <b>, <em>, <kbd> and
# links; arguments are escaped. Keys are page-what; those of zh-CN.ftl are the same.

count-tools = { $count ->
    [one] { $count } tool
   *[other] { $count } tools
}

## Around every page

frame-skip = Skip to the content
frame-main = Main
frame-servers = Servers
frame-publish = Publish
frame-keys = Keys
frame-sign-in = Sign in
frame-sign-out = Sign out
frame-language = Language
frame-about = Causeway serves OpenAPI documents as MCP servers.
frame-api = Management API

## The start page

home-nothing-matches = Nothing matches “{ $query }”
