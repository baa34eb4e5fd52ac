# 页面的全部简体中文文本；键与 en.ftl 相同。消息是可信的 HTML，参数会被转义。

count-tools = { $count } 个工具

## 每个页面的框架

frame-skip = 跳到正文
frame-main = 主导航
frame-servers = 服务器
frame-publish = 发布
frame-keys = 密钥
frame-sign-in = 登录
frame-sign-out = 退出登录
frame-language = 语言
frame-about = Causeway 把 OpenAPI 文档变成 MCP 服务器。
frame-api = 管理 API

## 首页

home-nothing-matches = 没有与“{ $query }”匹配的内容
