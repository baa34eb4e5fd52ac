curl 'https://a.example.com
