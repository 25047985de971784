variable "s" {
  type    = string
  default = "text"
}
variable "s_of_true" {
  type    = string
  default = true
}
variable "n_of_text" {
  type    = number
  default = "12"
}
variable "b_of_text" {
  type    = bool
  default = "true"
}
variable "null_s" {
  type    = string
  default = null
}
variable "null_list" {
  type    = list(string)
  default = null
}
variable "null_object" {
  type    = object({ a = string })
  default = null
}
variable "untyped" {
  default = ["a", 1, null]
}
variable "list_s" {
  type    = list(string)
  default = ["b", 2, true]
}
variable "list_n" {
  type    = list(number)
  default = [3, "10", 2.5]
}
variable "empty_list" {
  type    = list(string)
  default = []
}
variable "set_s" {
  type    = set(string)
  default = ["b", "a", "b", 10, 9]
}
variable "set_n" {
  type    = set(number)
  default = [10, 9, "9", 2.5]
}
variable "set_b" {
  type    = set(bool)
  default = [true, "false"]
}
variable "map_s" {
  type    = map(string)
  default = { b = 1, a = "x", "z z" = true }
}
variable "map_list" {
  type    = map(list(string))
  default = { a = [], b = [1] }
}
variable "object" {
  type = object({
    a = string
    b = optional(number)
    c = optional(string, "given")
    d = optional(list(object({ e = optional(bool, true), f = optional(string) })), [{}])
  })
  default = { a = 1, extra = "dropped" }
}
variable "objects" {
  type    = list(object({ a = string, n = optional(number, 5) }))
  default = [{ a = "x" }, { a = "y", n = "7" }, { a = "z", n = null }]
}
variable "tuple" {
  type    = tuple([string, number, bool])
  default = [1, "2", "true"]
}
variable "any_list" {
  type    = list(any)
  default = [1, "a", true]
}
variable "any" {
  type    = any
  default = { a = [1], b = null }
}
variable "any_map" {
  type    = map(any)
  default = { a = 1, b = "x" }
}
variable "nested" {
  type    = map(object({ l = optional(set(string), ["q", "p"]), m = optional(map(number), {}) }))
  default = { one = {}, two = { l = [2, 1], m = { k = "3" } } }
}
variable "not_null" {
  type     = string
  default  = "fallback"
  nullable = false
}
locals {
  l_string = "local"
  l_tuple  = [{ a = ["p", "q"], b = 1 }, { a = ["r"], b = "2" }]
  l_object = { x = "1", y = 2, z = { w = [true] } }
}
