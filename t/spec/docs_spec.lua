-- The examples of the documents are configurations and handlers that load.
local certificates = require "t.support.certificates"
local gateway = require "t.support.gateway"
local process = require "t.support.process"

local DOCUMENTS = { "README.md", "docs/guide.md", "docs/scripting.md" }

-- The indented blocks of a document: list of { line, text }.
local function blocks(document)
  local list, block, number = {}, nil, 0
  for line in io.lines(document) do
    number = number + 1
    if line:find "^    " or (block and line == "") then
      if not block then
        block = { line = number, text = "" }
        list[#list + 1] = block
      end
      block.text = block.text .. line:gsub("^    ", "") .. "\n"
    else
      block = nil
    end
  end
  return list
end

local USE = 'local tg = require "tidegate"\ntg.listen "127.0.0.1:1"\ntg.route { handlers = { { "example"%s } } }\n'

local LISTENER_USE = [[
local tg = require "tidegate"
tg.listen { "127.0.0.1:1", handlers = { "example" }, tls = { cert = "%s", key = "%s", client_ca = "%s" } }
]]

local function listener_use()
  local shop = certificates.new()
  local made = shop:issue { names = { "a.example" } }
  return LISTENER_USE:format(made.cert, made.key, shop.ca)
end

-- The files of TLS that a configuration names: "tls/shop.pem" is a certificate for shop.example, "tls/x-ca.pem" an
-- authority.
local function tls_files(text)
  local files, shop = {}, nil
  for name in text:gmatch '"tls/([%w-]+)%.pem"' do
    shop = shop or certificates.new()
    local authority = name:find "%-ca$"
    local kind = name:find "%-rsa$" and "rsa" or "ec"
    local made = not authority and shop:issue { names = { name:gsub("%-rsa$", "") .. ".example" }, kind = kind }
    files["tls/" .. name .. ".pem"] = process.read_file(authority and shop.ca or made.cert)
    if made then files["tls/" .. name .. ".key"] = process.read_file(made.key) end
  end
  return files
end

-- The configuration of a block, and the files it needs; nil where it is neither a gateway nor a handler.
local function configuration(text)
  if text:find "tg%.listen" then return text, tls_files(text) end
  if not text:find "\nreturn handler\n" then return nil end
  if text:find "handler%.client_hello" then return listener_use(), { ["example.lua"] = text } end
  local options = text:find("keys = { \"list\"", 1, true) and ', keys = { "k" }' or ""
  return USE:format(options), { ["example.lua"] = text }
end

describe("the examples", function()
  before_each(gateway.begin_test)
  after_each(gateway.end_test)
  teardown(gateway.end_file)

  for _, document in ipairs(DOCUMENTS) do
    it("of " .. document .. " load", function()
      local count = 0
      for _, block in ipairs(blocks(document)) do
        local config, files = configuration(block.text)
        if config then
          count = count + 1
          local prepared = gateway.prepare { config = config, files = files or {} }
          local result = gateway.run { "check", "-c", prepared.folder .. "/gateway.lua" }
          assert.equal(0, result.code, ("%s:%d: %s"):format(document, block.line, result.errors))
        end
      end
      assert.is_true(count > 0)
    end)
  end
end)
