-- Writes an assembler file that holds the given text files and the table of core/script/embedded.h.
-- Usage: luajit tools/embed.lua OUTPUT FILE...   (paths relative to the root of the repository)
-- Lua files are checked for syntax first. Of a C header only the part between `/* cdef begin */` and `/* cdef end */`
-- is taken, which is written to be read by ffi.cdef.

local output = assert(arg[1], "usage: embed.lua OUTPUT FILE...")

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

local function cdef_part(path)
  local part = read(path):match "/%* cdef begin %*/\n(.*)/%* cdef end %*/"
  if not part then
    error(path .. ": has no part between /* cdef begin */ and /* cdef end */", 0)
  end
  return part
end

local bodies, entries = {}, {}

local function add(index, name, text_path)
  bodies[#bodies + 1] = ([[
name_%d: .asciz "%s"
text_%d: .incbin "%s"
end_%d: .byte 0
]]):format(index, name, index, text_path, index)
  entries[#entries + 1] = ("    .quad name_%d, text_%d, end_%d - text_%d\n"):format(index, index, index, index)
end

local function embed(index, path)
  if path:sub(-4) == ".lua" then
    assert(loadfile(path))
    add(index, path, path)
    return
  end
  local part_path = output:gsub("[^/]*$", "") .. path:gsub("/", "_") .. ".cdef"
  write(part_path, cdef_part(path))
  add(index, path, part_path)
end

local ok, message = pcall(function()
  for index = 2, #arg do
    embed(index - 1, arg[index])
  end
end)
if not ok then
  io.stderr:write(tostring(message), "\n")
  os.exit(1)
end

write(output, ([[
    .section .rodata
%s
    .section .data.rel.ro, "aw"
    .balign 8
    .globl tg_embedded_files
tg_embedded_files:
%s    .section .rodata
    .balign 8
    .globl tg_embedded_count
tg_embedded_count: .quad %d
    .section .note.GNU-stack, "", %%progbits
]]):format(table.concat(bodies), table.concat(entries), #entries))
