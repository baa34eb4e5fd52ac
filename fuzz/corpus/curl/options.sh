curl -XPOST -HA:b --data= --json '{' -d @x -F a -b x -G --unknown https://a.example.com -- -x
curl
curl --url
