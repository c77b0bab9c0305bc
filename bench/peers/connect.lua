-- Check over the Connect protocol, unary, in protobuf, for wrk: contacts by chance among
-- those that dormouse-bench would not know, each never set.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/proto"

function request()
    local account = string.format("a%07d", math.random(0, 999))
    local contact = string.format("contact-%012d", math.random(0, 999999))
    local body = "\10" .. string.char(#account) .. account ..
                 "\18" .. string.char(#contact) .. contact
    return wrk.format(nil, nil, nil, body)
end
