#!/bin/sh
# Everything the depot needs, as it was pasted into the wiki.

# Find parcels
curl -sS 'https://api.parcels.example.com/v2/parcels?status=open&limit=20&api_key=9f86d081884c7d659a2feaa0c55ad015' \
  -H 'Accept: application/json' | jq '.parcels[]'

# Read one parcel
curl -u depot:hunter2 https://api.parcels.example.com/v2/parcels/48213

# Register a parcel
curl 'https://api.parcels.example.com/v2/parcels' \
  -X POST \
  -H 'authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJoYXJib3VyIn0.leaked' \
  -H 'content-type: application/json' \
  -H 'x-depot: north' \
  -b 'session=9999; theme=dark' \
  --data-raw $'{"to":{"name":"O\'Neil","zip":"04109"},"weight":2.5,"fragile":true,"note":"caf\u00e9"}' \
  --compressed

# Upload the label
curl -F 'label=@/home/anna/label.pdf' -F copies=2 https://api.parcels.example.com/v2/parcels/48213/label

# Search
curl -G https://api.parcels.example.com/v2/search --data-urlencode "q=red & blue" -d page=2

# Sign in
curl https://login.parcels.example.com/token -d grant_type=password -d user=anna -d 'password=correct horse'

curl -I parcels.example.com

# Bulk load
curl -d @/home/anna/bulk.json https://api.parcels.example.com/v2/bulk

curl 'https://api.parcels.example.com/broken
