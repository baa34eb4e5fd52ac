curl $'https://a.example.com/\u0000\x7f\'{' -d $'\U110000'
