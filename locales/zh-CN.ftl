# 页面的全部简体中文文本；键与 en.ftl 相同。消息是可信的 HTML，参数会被转义。

count-tools = { $count } 个工具

count-servers = { $count } 个服务器

## 每个页面的框架

frame-skip = 跳到正文
frame-main = 主导航
frame-servers = 服务器
frame-publish = 发布
frame-keys = 密钥
frame-usage = 用量
frame-docs = 文档
frame-sign-in = 登录
frame-sign-out = 退出登录
frame-language = 语言
frame-about = Causeway 把 OpenAPI 文档变成 MCP 服务器。
frame-api = 管理 API
frame-copy = 复制
frame-copied = 已复制

## 首页

home-title = 智能体可以直接调用的 API
home-words = 下面的每个服务器都是一个 API：由 OpenAPI 文档描述，通过 Model Context Protocol（MCP）提供服务。打开任意一个，即可把智能体接入。
home-search = 搜索服务器
home-search-hint = 搜索服务器及其工具
home-category = 分类
home-tag = 标签
home-any = 全部
home-sort = 排序
home-sort-relevance = 相关度
home-sort-name = 名称
home-sort-newest = 最新
home-matching-tools = 匹配的工具
home-nothing-there = 这里没有内容
home-none = 还没有服务器
home-none-words = 服务器由 OpenAPI 文档生成：可以上传文件、粘贴文本，或填写 API 文档的地址。
home-publish-first = 发布第一个服务器
home-sign-in-first = 登录并发布第一个服务器
home-nothing-matches = 没有与“{ $query }”匹配的内容
home-try-other = 请减少或更换关键词，或<a href="{ $all }">查看全部服务器</a>。
home-no-description = 文档中没有说明
home-more = 更多服务器
search-do = 搜索
badge-open = 公开
badge-needs-key = 需要密钥
badge-read-only = 只读
badge-destroys = 可能删除数据
badge-writes = 会写入
badge-repeatable = 可重复执行
tokens-of-list = 工具列表的预估 token 数，模型在首次调用前会读取该列表
tokens-of-tool = 该工具在工具列表中的预估 token 数
count-tokens = 约 { $count } 个 token

## 刚刚完成的操作

done-published = 已发布，工具现在可以调用。
done-saved = 已保存，设置已生效。
done-renamed = 已重命名，原地址仍然可用。
done-imported = 已导入，新版本已生效。
done-unchanged = 该文档与当前版本相同，未做任何更改。
done-credential-set = 凭据已保存，即刻生效。
done-credential-removed = 凭据已移除。
done-credential-approved = 目标地址已批准，凭据现在会发送到该地址。
done-connected = 已连接，后续调用将使用此连接。
done-disconnected = 连接已断开。
done-revoked = 已吊销，该密钥不再有效。
done-deleted = 服务器已删除。

## 出错页面

failure-see-all = 查看全部服务器
failure-400 = 请求无效
failure-401 = 未登录
failure-403 = 没有权限
failure-404 = 页面不存在
failure-405 = 不支持的请求方法
failure-409 = 操作冲突
failure-412 = 内容已被更改
failure-413 = 内容过大
failure-422 = 内容无法处理
failure-429 = 请求过于频繁
failure-500 = 服务器内部错误
failure-502 = 上游响应异常
failure-503 = 服务暂不可用
failure-504 = 上游响应超时
failure-no-server = 没有这个名称的服务器，或者需要登录后才能查看。
failure-other-session = 该表单来自另一个会话。请返回并刷新页面后重试。
failure-unread = 无法读取表单：{ $reason }。


## 使用文档

docs-title = 使用文档
docs-words = 文档随本服务一同提供，无需访问其他网站。文档内容目前只有英文。
docs-search = 搜索标题
docs-no-guide = 没有这篇文档。

## 密钥

keys-words = 智能体通过 <code>Authorization: Bearer …</code> 或 <code>X-API-Key</code> 发送密钥。请为每个智能体分别创建密钥，以便单独吊销。
keys-made-for = { $name } 的密钥
keys-copy-now = 请立即复制。系统只保存其哈希值，之后无法再次显示。
keys-key = 密钥
keys-all = 全部密钥
keys-none = 还没有密钥。创建密钥之前，无法调用需要密钥的服务器。
keys-made = 创建时间
keys-last-used = 最近使用
keys-never = 从未使用
keys-everywhere = 全部
keys-nowhere = 相关服务器均已删除
keys-revoke = 吊销
keys-revoke-named = 吊销 { $name }
keys-revoked = 已吊销
keys-hidden = 另有 { $count } 个密钥，可通过管理 API 查看。
keys-new = 新建密钥
keys-name-help = 使用者的名称，例如“客服智能体”。
keys-servers-help = 每行一个短名称。留空表示全部服务器，包括以后新增的。
keys-none-chosen = 不选择表示全部服务器，包括以后新增的。
keys-make = 创建密钥

## 表单标签

label-name = 名称
label-url = 地址
label-document = 文本
label-file = 文件
label-slug = 短名称
label-upstream = API 地址
label-allow-upstream = 允许访问的私有地址
label-timeout = 调用超时
label-tools-page = 列表每页的工具数
label-answer = 最大响应
label-tool-tokens = 单个工具的 token 数
label-list-tokens = 列表的 token 数
label-idle = 会话空闲时间
label-sessions-max = 最大会话数
label-value = 值
label-token-origins = 授权服务器
label-category = 分类
label-tags = 标签
label-json = JSON 参数
label-user = 用户名
label-password = 密码
label-confirm = 输入短名称以确认
access-legend = 谁可以调用
access-key = 持有密钥的调用方
access-key-help = 密钥在<a href="{ $keys }">密钥</a>页面创建。
access-open = 所有人
access-open-help = 能访问此地址的任何人都可以使用此处保存的凭据调用全部工具。
as-document = 以文档为准

## 待发布的文档

source-legend = OpenAPI 文档
source-help = 支持 Swagger 2.0 或 OpenAPI 3.0、3.1、3.2，JSON 或 YAML 格式。以下三项任填一项。
source-url-help = 文档、API 或其文档页面（Swagger UI、Redoc、Scalar）的地址。
source-file = 文件，或包含全部文件的 zip 压缩包
source-file-help = 不超过 { $size }。带目录的文件请打包为压缩包。
publish-title = 发布 API
publish-words = 文档中的每个操作都会成为一个工具。无法转换的操作以及所有推测，都会列在随后的转换报告中。
publish-more = 名称、API 地址、私有网络
publish-slug-help = 用于地址 <code>/mcp/…</code>：a-z、0-9 和连字符，最多 40 个字符。留空则根据标题生成。
publish-upstream-help = 调用的目标地址，代替文档中指定的服务器。
publish-allow-help = 每行一个地址、网段或主机，端口可选。私有、回环和链路本地地址只有在此列出才允许访问。
publish-credentials = 识别出安全方案后，可在服务器页面填写 API 凭据。
publish-taken = “短名称”：服务器 { $slug } 已存在。请换一个名称，或在其设置中导入新版本。
upload-too-large = 文档过大，最大为 { $size }。

## 导入

import-title = 导入
import-running = 正在发布…
import-reading = 正在读取文档并生成工具
import-seconds = 已用时 { $count } 秒
import-begun = 刚刚开始
import-reloads = 此页面会自动刷新。你可以离开，任务会继续进行。
import-live = { $title } 已上线
import-callable = 现在可以调用 { $count } 个工具。
import-connect = 接入智能体
import-settings = 凭据与设置
import-many = 已导入 { $count } 个文档
import-failed = 发布失败
import-again = 重试
import-unknown = 没有这个导入任务，或者它在一小时前就已结束。如果导入成功，可以在列表中找到对应的服务器。
report-title = 转换报告
report-clean = 没有任何丢失，也没有任何推测。
report-lost = 未能转换为工具的操作
report-warning = 推测或更改的内容，请检查
report-note = 值得了解
report-hidden = 另有 { $count } 条，可通过 API 或 <code>causeway check</code> 查看全部。

## 服务器

server-tabs = 服务器
server-overview = 概览
server-lacking = { $count } 个工具暂时无法调用：API 所需的凭据尚未设置。
server-connect = 接入
server-endpoint = MCP 端点
server-put-key = 请将 <code>YOUR_KEY</code> 替换为你的密钥。
server-make-key = 创建密钥
server-ask-key = 密钥由本站管理员提供。
server-tools = 工具
server-no-tools = 该服务器没有工具：文档中没有可以转换为工具的操作。
server-report-why = 原因见<a href="{ $report }">转换报告</a>。
server-search = 搜索工具
server-search-count = 搜索 { $count } 个工具
server-no-match = 没有与“{ $query }”匹配的工具。
server-all-tools = 查看全部工具
server-more-tools = 更多工具
snippet-terminal = 在终端中运行
snippet-other = 其他客户端
snippet-most = 大多数客户端都支持此格式

## 工具

tool-lacking = 暂时无法调用：API 所需的凭据尚未设置。
tool-set-it = 去设置
tool-try = 试用
tool-no-arguments = 无需参数。
tool-required = 必填
tool-choose = 请选择…
tool-not-set = 未设置
tool-json-instead = 改用 JSON 填写参数
tool-json-help = 一个 JSON 对象。如果填写了此项，上面的字段将被忽略。
tool-dry-run = 试运行
tool-call = 调用
tool-call-writes = 调用会真实执行，并可能更改 API 中的数据。
tool-dry-run-help = 试运行只显示请求，不会发送。
tool-arguments = 参数
tool-argument = 参数
tool-type = 类型
tool-meaning = 说明
tool-sign-in = 登录后试用
tool-schemas = Schema
tool-input = 输入 Schema
tool-output = 输出 Schema
tool-json-wrong = JSON 参数：不是有效的 JSON（{ $reason }）。
tool-json-object = JSON 参数：请填写一个用花括号括起来的对象。
tool-correct = 未发送任何请求。请更正：{ $names }。
tool-is-required = 此项必填。
tool-choose-one = 请从可选值中选择。
tool-want-number = 请填写数字，例如 12 或 0.5。
tool-want-json = 不是有效的 JSON（{ $reason }）。文本需要用双引号括起来。
kind-one-of = 可选值：{ $choices }
kind-list-of = { $items } 列表
kind-list = 列表
kind-or = 或
kind-any = 任意

## 调用结果

trace-would-fail = 此调用会失败
trace-would-send = 将发送以下请求
trace-failed = 调用失败
trace-succeeded = 调用成功
trace-dry-run = 试运行，未发送请求
trace-total = 总耗时 { $time }
trace-first-byte = 首字节 { $time }
trace-not-sent = 未发送请求
trace-no-answer = 没有响应
trace-id = 追踪 <code>{ $id }</code>
trace-image = 工具返回的图片
trace-other = { $media }，约 { $count } 字节，无法在此显示。
trace-hidden = 另有 { $count } 个部分，可通过管理 API 查看。
trace-rest = …… 还有 { $count } 字节，可通过管理 API 查看
trace-request = 请求
trace-body-size = 请求体，{ $count } 字节
trace-body-none = 请求体：{ $count } 字节
trace-healed = 已按其中包含的 JSON 读取：{ $names }
trace-whole = 客户端收到的结果

## 设置：凭据

settings-title = 设置
credentials-title = 凭据
credentials-words = 供 API 使用，而非供智能体使用。凭据加密保存，只发送到已批准的目标地址，且不会再次显示。
credentials-none = 文档没有声明安全方案，因此调用时不携带凭据。
credential-unused = 未使用
credential-unreadable = 无法读取
credential-set = 已设置
credential-not-set = 未设置
credential-gone = 文档中已没有这个安全方案，因此已保存的凭据不会发送到任何地方。
credential-remove = 移除
credential-remove-named = 移除 { $scheme } 的凭据
credential-other-key = 该凭据由另一个主密钥加密，需要它的调用会失败。请使用此数据库对应的主密钥启动 Causeway，或重新填写凭据。
credential-wants = 需要{ $kind }，有 { $count } 个工具可能用到。
credential-unsupported = Causeway 不支持发送这类凭据。
credential-sent-to = 发送到 { $origins }
credential-waiting = 调用现在会发往 { $origins }（{ $count } 个目标地址）。凭据并非为其填写，因此暂不发送。
credential-approve = 批准新的目标地址（{ $count } 个）
credential-certificate = PEM 格式的证书链和私钥
credential-new-value = 新值
credential-replace = 替换
credential-do-set = 设置
credential-will-go = 你填写的内容将发送到 { $origins }。
credential-want-user = “用户名”必填，且不能包含冒号。
credential-moved = “{ $scheme }”：页面加载后目标地址发生了变化，未批准任何内容。请重新核对。
kind-key-path = 路径变量 { $name } 中的 API 密钥
kind-key-query = 查询参数 { $name } 中的 API 密钥
kind-key-header = 请求头 { $name } 中的 API 密钥
kind-key-cookie = Cookie { $name } 中的 API 密钥
kind-basic = 用户名和密码（HTTP Basic 认证）
kind-bearer = Bearer 令牌
kind-http = HTTP 认证方式“{ $scheme }”
kind-oauth = OAuth 2 访问令牌
kind-openid = OpenID Connect 访问令牌
kind-certificate = TLS 客户端证书及其私钥
client-words = 令牌通过客户端 <code>{ $id }</code> 获取，其密钥只发送到 { $origins }。
client-connected = 已连接。
client-not-connected = <b>需要先连接</b>，调用才能使用。
client-waiting = 授权服务器现在位于 { $origins }。客户端密钥并非为其填写，因此暂不发送。
client-approve = 批准授权服务器
client-connect-again = 重新连接
client-disconnect = 断开连接
client-connect-account = 连接账户
client-use = 使用客户端 ID 和密钥
client-register = 在授权服务器上将 <code>{ $uri }</code> 注册为重定向 URI，填写其提供的客户端信息，然后点击“连接”。
client-secret-below = 客户端密钥将发送到下方的令牌 URL，令牌将发送到 { $destinations }。
client-secret-sent = 客户端密钥将发送到 { $origins }，令牌将发送到 { $destinations }。
client-id = 客户端 ID
client-secret = 客户端密钥
client-scopes = 授权范围
client-as-tools = 按工具所需
client-audience = 受众
client-none = 无
client-token-url = 令牌 URL
client-authentication = 密钥的发送方式
client-basic = 放在请求头中（basic）
client-post = 放在表单中（post）
client-authorization-url = 授权 URL
client-revocation-url = 吊销 URL
client-save = 保存客户端
connecting-title = 连接
connecting-words = 请在 <code>{ $host }</code> 使用该服务器所有调用将使用的账户登录并授权访问，然后在十分钟内返回此处。
connecting-go = 前往 { $host }

## 设置：访问与调用

settings-calls = 访问与调用
settings-calls-words = 更改即时生效，不会中断已有的连接和正在进行的调用。
settings-internal = 该服务器由进程内部应答，没有可设置的地址。
settings-no-destination = 文档没有指定服务器，设置此项之前无法发出调用。
settings-destinations = 调用现在发往 { $origins }。留空则以文档为准。
settings-allow-help = 每行一个地址、网段或主机；如只允许某个端口，请注明。私有、回环和链路本地地址只有在此列出才允许访问。
settings-category-help = 在目录中的分类。
settings-tags-help = 最多 12 个，用逗号分隔。
settings-limits = 限制与旧版客户端
settings-timeout-help = 单位为秒，0.1 至 600。
settings-tools-page-help = 1 至 10,000。许多客户端只读取第一页。
settings-answer-help = 单位为 KiB，1 至 1,024。更长的响应会被截断，并说明如何获取其余部分。
settings-tools = 工具的展示方式
settings-tools-auto = 直接列出，数量较多时改为搜索
settings-tools-all = 全部列出
settings-tools-search = 通过搜索查找
settings-profile = Schema 适配对象
settings-profile-auto = 根据客户端名称自动选择
settings-profile-portable = 任意客户端
settings-profile-strict = OpenAI（严格模式）
settings-profile-full = 完整 Schema
settings-tool-tokens-help = 200 至 100,000。说明和 Schema 会相应缩短。
settings-list-tokens-help = 500 至 1,000,000。超过该值或超过 128 个工具时，改为搜索。
settings-sse = HTTP+SSE（2024 版传输方式）
settings-sse-default = 与进程启动设置一致
settings-on = 开启
settings-off = 关闭
settings-sessions = 会话
settings-sessions-help = 适用于需要 <code>Mcp-Session-Id</code> 的客户端。默认不启用，每个请求相互独立。
settings-idle-help = 单位为秒，1 至 86,400。
settings-sessions-max-help = 1 至 100,000。超出时结束空闲最久的会话。
settings-save = 保存
settings-stale = 页面加载后，该服务器已被他人修改。请刷新页面，与当前设置核对后重新保存。
settings-want-seconds = “{ $label }”：请填写秒数，例如 30 或 0.5。
settings-want-whole = “{ $label }”：请填写整数，例如 100。

## 设置：文档、名称、删除

document-title = 文档
document-version = 版本 { $version }，发布于 { $published }。
document-version-from = 版本 { $version }，发布于 { $published }，来自 <code>{ $url }</code>。
document-next = 新文档将成为下一个版本，密钥、设置和凭据保持不变。
document-again = 重新导入
rename-words = 原地址仍然可用，客户端无需立即更改。
rename-help = 用于地址 <code>/mcp/…</code>：a-z、0-9 和连字符，最多 40 个字符。
rename-do = 重命名
delete-title = 删除
delete-words = 其工具、版本和凭据将一并删除，使用它的客户端会收到 404。此操作无法撤销。
delete-do = 删除此服务器
delete-confirm = “输入短名称以确认”：请输入 { $slug } 以删除此服务器。

## 用量

usage-title = 用量
usage-period = 时间段
usage-24h = 24 小时
usage-7d = 7 天
usage-30d = 30 天
usage-90d = 90 天
usage-server = 服务器
usage-tool = 工具
usage-consumer = 使用方
usage-any = 全部
usage-show = 查看
usage-calls = 调用
usage-errors = 错误
usage-success = 成功率
usage-bytes = 收发字节
usage-cost = 费用
usage-no-data = 无数据
usage-nothing = 这段时间没有调用。
usage-window = { $from } 至 { $to }（UTC）。尚未结束的时段颜色较浅。
usage-calls-chart = 调用随时间变化
usage-fine = 成功
usage-failed = 失败
usage-calls-desc = 每个时段的调用柱状图：共 { $calls } 次，其中 { $errors } 次失败。下方表格列出全部数字。
usage-time-chart = 响应时间
usage-time-desc = 每个时段半数调用（p50）和 95% 调用（p95）的最长用时；没有调用处留空。下方表格列出全部数字。
usage-as-table = 以表格显示
usage-when = 时间（UTC）
usage-partial = 未结束
usage-by-server = 各服务器
usage-by-tool = 各工具
usage-by-consumer = 各使用方
usage-unnamed = 无，或已删除
usage-csv = 导出 CSV
usage-json = 导出 JSON
usage-hidden = 另有 { $count } 项，可通过管理 API 查看。

## Settings of a server

settings-private = 仅限明确授权的密钥
settings-private-hint = 对其他人而言，此服务器不存在，也不会出现在列表中。

## 账户

frame-account = 账户
frame-users = 用户
login-title = 登录
login-about = 智能体不需要账户：它们用自己的密钥调用。
login-name = 名称
login-password = 密码
login-by-key = 用管理密钥登录
login-by-key-about = 供本服务器的运维人员使用。密钥是 <code>--admin-key</code> 给出的值；没有给出时，它在数据目录的 <code>admin.key</code> 文件里。
login-key = 管理密钥
login-use-key = 使用密钥
login-code = 验证码
login-code-hint = 设备上显示的六位数字，或一个恢复码。
login-go-on = 继续
login-again = 重新开始
setup-title = 创建第一位管理员
setup-about = 这里还没有任何账户。最先打开此链接的人成为管理员，并邀请其他人。
invite-title = 您收到了邀请
invite-about = 请选择密码；之后用它和这个名称登录。
reset-title = 重新选择密码
reset-about = 设置密码后，该账户的所有会话都会结束。
account-title = 您的账户
account-password = 密码
account-old-password = 当前密码
account-new-password = 新密码
account-set-password = 设置密码
account-change-password = 修改密码
account-others-end = 其他所有会话都会结束。
account-of-key = 您是用管理密钥登录的，它没有账户。请在“用户”页为自己创建一个，再用它登录。
account-wrong = 不正确。出于安全考虑，不再提供更多说明。
account-later = 尝试次数过多。请在 { $seconds } 秒后再试。
account-no-link = 此链接已被使用、已过期，或已被另一个链接取代。请索取新的链接。
account-password-length = { $least } 到 { $most } 个字符。
account-password-plain = 这个密码太简单：它与名称相同，或只是同一个字符的重复。
account-name-rule = 1 到 64 个字符：字母 a 到 z、数字以及 . _ - @，以字母或数字开头。
account-name-taken = 已有同名用户。
account-nobody = 没有这样的用户或内容。
account-oneself = 不能取消自己的角色或账户。请找另一位管理员。
account-busy = 目前登录的人过多。请再试一次。
account-failed = 内部出错，已记入日志。
codes-title = 一次性验证码
codes-about = 每次登录时要求手机上的验证码，这样仅凭密码无法进入。
codes-begin = 设置设备
codes-scan = 请用身份验证器应用扫描。
codes-secret = 或把这个密文输入应用：
codes-here = 或在本设备上打开
codes-first = 应用现在显示的验证码
codes-confirm = 从现在起要求验证码
codes-are-on = 登录时要求验证码。还剩 { $left } 个恢复码。
codes-recovery = 从现在起要求验证码。请保存这些恢复码：设备丢失时，每个可代替一次验证码，并且不会再次显示。
codes-end = 不再要求验证码
sessions-title = 已登录的位置
sessions-browser = 浏览器
sessions-since = 开始时间
sessions-seen = 最近使用
sessions-this = 当前
sessions-end = 结束
sessions-everywhere = 在所有位置退出
role-admin = 管理员
role-publisher = 发布者
role-member = 成员
users-title = 用户
users-about = 在这里登录的人。智能体不是用户：它们用密钥调用。
users-link = 给 { $name } 的链接
users-link-once = 现在就发给对方。它只能用一次，只保存哈希值，不会再次显示。
users-link-word = 链接
users-list = 所有用户
users-none = 还没有人有账户。
users-role = 角色
users-last = 最近登录
users-never = 从未
users-change = 更改
users-disabled = 已停用
users-invited = 已邀请
users-codes = 验证码
users-save = 保存
users-reset = 生成链接
users-forget-device = 忘记设备
users-disable = 停用
users-enable = 启用
users-invite = 邀请用户
users-roles-about = 成员可以浏览、调用工具并拥有自己的密钥。发布者还可以发布服务器并管理它们。管理员可以做一切。
users-make-link = 生成邀请
done-made = 密码已设置。请用它登录。
done-password = 密码已修改。其他所有会话都已结束。
done-codes-off = 不再要求验证码。
done-ended = 会话已结束。
done-changed = 已更改。

## Calls that wait for a person

frame-approvals = 审批
approvals-words = 设置了 <code>confirm: human</code> 的工具必须先在此处获得批准才会被调用。批准可仅限一次，也可在一小时内对同一调用方的相同参数有效。
approvals-waiting = 等待审批
approvals-none = 没有等待审批的调用。
approvals-by = 调用方：{ $who }
approvals-age = { $count } 分钟前提出
approvals-left = 剩余 { $count } 分钟
approvals-reason = 理由
approvals-reason-help = 拒绝时，调用方会看到此理由。
approvals-once = 批准一次
approvals-for-hour = 批准一小时
approvals-deny = 拒绝
approvals-over = 已处理
approvals-call = 调用
approvals-caller = 调用方
approvals-asked = 提出时间
approvals-state = 状态
approvals-decided-by = 处理人
approvals-waits = 等待中
approvals-hour = 已批准一小时
approvals-approved = 已批准
approvals-denied = 已拒绝
approvals-used = 已批准并调用
approvals-expired = 已过期
done-approved = 已批准该调用。
done-denied = 已拒绝该调用。
tool-asks = 此工具在调用前需要确认。尚未发送任何内容：请再次检查参数并确认。
tool-confirm = 确认并调用
